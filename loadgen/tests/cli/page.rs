//! The page of a report, in a browser.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{free_address, loadgen};

/// Widths of a phone and of a large window, in pixels.
const WIDTHS: [u64; 2] = [400, 1400];
/// The height of the smallest letters that can be read, in pixels.
const READABLE: f64 = 9.0;

/// Looks at a page in a frame, with everything open, and writes what it finds below the frame.
const LOOK: &str = r#"<script>
addEventListener("load", () => {
document.querySelectorAll("details").forEach(one => one.open = true);
const crossed = (one, other) =>
  Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 &&
  Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
const charts = [...document.querySelectorAll("figure > svg")].map(svg => {
  const lines = [...svg.querySelectorAll("polyline[class*=line-]")];
  const onLines = lines.reduce((sum, line) => sum + line.points.numberOfItems, 0);
  const box = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map(one => one.getBoundingClientRect());
  const within = one => one.left >= box.left - 1 && one.right <= box.right + 1 &&
    one.top >= box.top - 1 && one.bottom <= box.bottom + 1;
  return {
    says: Number(svg.dataset.points),
    has: onLines || svg.querySelectorAll("circle[class*=line-]").length,
    seen: box.width > 200 && box.height > 100,
    outside: texts.filter(one => !within(one)).length,
    crossed: texts.filter((one, at) => texts.slice(at + 1).some(other => crossed(one, other))).length,
    letters: Math.min(...texts.map(one => one.height)),
  };
});
const found = {
  width: innerWidth,
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  asked: performance.getEntriesByType("resource").map(one => one.name),
  charts,
};
const text = parent.document.createElement("pre");
text.className = "found";
text.textContent = JSON.stringify(found);
parent.document.body.append(text);
});
</script></body>"#;

/// What `LOOK` found, in the order of [`WIDTHS`], and what the browser said of the page.
struct Found {
    pages: Vec<Value>,
    console: Vec<String>,
}

/// Looks at `page` in frames of each width, because a window cannot be as narrow as a phone; `None`
/// without a browser.
fn look(page: &str) -> Option<Found> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("look.html");
    fs::write(&file, frames(page)).unwrap();
    let profile = folder.path().join("profile");
    let mut browser = Command::new("timeout");
    browser
        .args([
            "120",
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
        ])
        .args([
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", file.display()));
    let output = browser.stdin(Stdio::null()).output().unwrap();
    // What timeout says of a program that is not there.
    if output.status.code() == Some(127) {
        eprintln!("skipped: there is no chromium");
        return None;
    }
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (dom, log) = (text(output.stdout), text(output.stderr));
    let found = dom.split("<pre class=\"found\">").skip(1);
    let found = found.map(|text| text.split_once("</pre>").unwrap().0);
    let pages = found.map(|text| serde_json::from_str::<Value>(text).unwrap());
    let mut pages: Vec<_> = pages.collect();
    assert_eq!(pages.len(), WIDTHS.len(), "{:?}: {log}", output.status);
    pages.sort_by_key(|page| page["width"].as_u64());
    let console = log.lines().filter(|line| line.contains("CONSOLE"));
    let console = console.map(str::to_owned).collect();
    Some(Found { pages, console })
}

/// A page with `page` in frames. The page's own rules stay, but that no script may run.
fn frames(page: &str) -> String {
    let page = page.replace(
        "default-src 'none'",
        "default-src 'none'; script-src 'unsafe-inline'",
    );
    let page = page.replace("</body>", LOOK);
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let frame = |width| format!("<iframe width={width} height=900 srcdoc=\"{page}\"></iframe>");
    let frames = WIDTHS.map(frame).concat();
    format!("<!doctype html><link rel=\"icon\" href=\"data:,\"><body>{frames}</body>")
}

/// Looks at what `flags` write, in each width.
fn check(flags: &str, charts: usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let run = loadgen(&format!("{flags} --html {}", file.display()));
    // A peer of a cohort that was ended late on a busy machine is no fault of the page.
    assert!([0, 6].contains(&run.code), "{run:?}");
    let page = fs::read_to_string(&file).unwrap();
    let Some(found) = look(&page) else {
        return;
    };
    assert_eq!(found.console, [""; 0]);
    for (width, told) in WIDTHS.into_iter().zip(&found.pages) {
        assert_eq!(told["width"], width, "{told}");
        assert_eq!(told["overflow"], 0, "{told}");
        assert_eq!(told["asked"].as_array().unwrap().len(), 0, "{told}");
        let all = told["charts"].as_array().unwrap();
        assert_eq!(all.len(), charts, "{told}");
        for chart in all {
            assert!(
                chart["says"] == chart["has"] && chart["has"] != 0,
                "{width}: {chart}"
            );
            assert!(
                chart["seen"] == true && chart["outside"] == 0,
                "{width}: {chart}"
            );
            assert_eq!(chart["crossed"], 0, "{width}: {chart}");
            assert!(
                chart["letters"].as_f64().unwrap() > READABLE,
                "{width}: {chart}"
            );
        }
    }
}

/// Goal: the page of a run is shown in whole by a browser, on a phone and in a large window: it asks
/// for no other file, nothing overflows, no label covers another, each chart has its points, and
/// the browser complains of nothing. Method: look at it from inside.
#[test]
fn a_run() {
    check("-c 4 -r 2k -d 2s -w 100ms --slo p99<10s -q", 5);
}

/// Goal: the same of a comparison. Method: the same, of two rounds.
#[test]
fn a_comparison() {
    let pairs = if cfg!(feature = "tls") { 2 } else { 1 };
    check("compare -c 2 -d 1s -w 0 --rounds 2", pairs + 4);
}

/// Goal: the same of a load without and with a cohort. Method: the same, with each chart over time
/// of both.
#[test]
fn a_cohort() {
    check(
        "-c 4 -r 2k -d 2s -w 100ms -q --cohort bad-hello:4@50/s",
        2 + 2 * 4,
    );
}

/// Goal: what is looked for would be found. Method: a page that is too wide, complains, and has a
/// chart without points whose labels cover each other, and whose picture is not there.
#[test]
fn a_bad_page() {
    let nobody = free_address();
    let label = "<text x=\"10\" y=\"50\">label</text>";
    let page = format!(
        "<!doctype html><body><p style=\"width: 2000px\">wide</p><img src=\"http://{nobody}/none.png\">\
         <script>console.error(\"bad\")</script>\
         <figure><svg viewBox=\"0 0 400 200\" data-points=\"3\">{label}{label}</svg></figure></body>"
    );
    let Some(found) = look(&page) else {
        return;
    };
    let told = &found.pages[0];
    assert!(told["overflow"].as_i64().unwrap() > 1000, "{told}");
    assert!(
        found.console.iter().any(|line| line.contains("bad")),
        "{told}"
    );
    assert!(
        told["asked"][0]
            .as_str()
            .is_some_and(|name| name.ends_with("none.png")),
        "{told}"
    );
    let chart = &told["charts"][0];
    assert_eq!(
        (&chart["has"], &chart["crossed"]),
        (&0.into(), &1.into()),
        "{told}"
    );
}
