//! Charts, as SVG in the page: lines over an axis, and bars with their spread.
//!
//! plotters draws them with placeholder colours. [`painted`] replaces those by classes, and
//! `page.css` says what the classes look like, in light and in dark. Legends and headings are
//! HTML, which wraps where the page is narrow. A chart knows nothing of runs: read
//! [`super::run`] and [`super::comparison`] for what is drawn.

use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged as _;
use plotters::prelude::*;

use super::axis::Axis;
use super::markup::{Markup, details, element, own, text};

/// Units of a chart's width and height. plotters has whole units only, so there are many; the
/// page scales them.
const WIDTH: u32 = 2000;
const HEIGHT: u32 = 1160;
/// Height of a bar with its label.
const ROW: u32 = 230;
/// Height of text: a chart of 360 pixels, as on a phone, still has letters of 11.
const LETTERS: f64 = 76.0;
/// Room for labels beside and below the axes.
const LEFT: u32 = 310;
const BELOW: u32 = 120;
/// Length of a tick, which keeps its label off the axis.
const TICK: i32 = 22;
const MARGIN: u32 = 30;
/// Room above and to the right for half of the last label.
const ABOVE: u32 = 50;
const RIGHT: u32 = 110;
/// Radius of a point, of a round's dot, and width of a line.
const POINT: i32 = 13;
const ROUND: i32 = 20;
const LINE: u32 = 9;
/// With more points, a line has no dots: they would touch.
const DOTS: usize = 60;
/// A freeze has at least this part of the width, so that the shortest can be seen.
const LEAST_SHADE: f64 = 0.004;

/// What a placeholder colour stands for; the page has a class of that name.
const INKS: [&str; 8] = [
    "ink", "grid", "shade", "bar", "line-1", "line-2", "line-3", "line-4",
];
const INK: RGBColor = RGBColor(0, 0, 1);
const GRID: RGBColor = RGBColor(0, 0, 2);
const SHADE: RGBColor = RGBColor(0, 0, 3);
const BAR: RGBColor = RGBColor(0, 0, 4);

/// The colour of the line with this number, from 0.
fn line_colour(number: usize) -> RGBColor {
    RGBColor(0, 0, 5 + number as u8)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A line, in stretches: where a value is unknown, it is interrupted.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) stretches: Vec<Vec<(f64, f64)>>,
}

impl Line {
    /// Through all points whose second value is known, and a number.
    pub(super) fn new(
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, Option<f64>)>,
    ) -> Self {
        let mut stretches = vec![Vec::new()];
        for (x, y) in points {
            match (y.filter(|y| y.is_finite()), stretches.last_mut()) {
                (Some(y), Some(last)) => last.push((x, y)),
                _ => stretches.push(Vec::new()),
            }
        }
        stretches.retain(|stretch| !stretch.is_empty());
        let name = name.into();
        Self { name, stretches }
    }

    pub(super) fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.stretches.iter().flatten().copied()
    }

    fn count(&self) -> usize {
        self.points().count()
    }
}

/// Lines over an axis.
pub(super) struct Lines {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
    /// Stretches of the axis below that are shaded, and why.
    pub(super) shaded: Vec<(f64, f64)>,
    pub(super) shade: &'static str,
}

/// A bar from the axis's origin to a median, with the least and the most, and a dot for each
/// value.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) median: f64,
    pub(super) values: Vec<f64>,
}

pub(super) struct Bars {
    pub(super) title: String,
    pub(super) x: Axis,
    /// Where bars begin.
    pub(super) origin: f64,
    pub(super) bars: Vec<Bar>,
}

impl Lines {
    /// The chart, with `numbers` to be opened below it.
    pub(super) fn figure(&self, numbers: Markup) -> Markup {
        let points: usize = self.lines.iter().map(Line::count).sum();
        let shade = (!self.shaded.is_empty()).then(|| key("shade", self.shade));
        let lines = self.lines.iter().enumerate().map(|(index, line)| {
            let class = format!("line-{}", index + 1);
            key(&class, &line.name)
        });
        let keys = lines.chain(shade).collect();
        let svg = drawn(&self.title, HEIGHT, points, |area| self.draw(area));
        figure(&self.title, keys, svg, numbers)
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .margin_top(ABOVE)
            .margin_right(RIGHT)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, BELOW)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let (across, up) = (self.x.range(), self.y.range());
        let least = (across.end - across.start) * LEAST_SHADE;
        let shades = self.shaded.iter().map(|&(from, to)| {
            let to = to.max(from + least).min(across.end);
            let corners = [(from.min(to - least), up.start), (to, up.end)];
            Rectangle::new(corners, SHADE.filled())
        });
        chart.draw_series(shades)?;
        mesh(&mut chart, &self.x, &self.y)?;
        for (index, line) in self.lines.iter().enumerate() {
            let style = line_colour(index).stroke_width(LINE);
            for stretch in &line.stretches {
                if stretch.len() == 1 || line.count() <= DOTS {
                    let dot = |&at| Circle::new(at, POINT, style.filled());
                    chart.draw_series(stretch.iter().map(dot))?;
                }
                chart.draw_series(LineSeries::new(stretch.clone(), style))?;
            }
        }
        Ok(())
    }
}

impl Bars {
    /// The chart, with `numbers` to be opened below it; nothing without a bar.
    pub(super) fn figure(&self, numbers: Markup) -> Markup {
        if self.bars.is_empty() {
            return Markup::default();
        }
        let points = self.bars.iter().map(|bar| bar.values.len()).sum();
        let height = 2 * MARGIN + BELOW + ROW * self.bars.len() as u32;
        let svg = drawn(&self.title, height, points, |area| self.draw(area));
        let keys = [
            key("bar", "median"),
            key("ink", "least to most"),
            key("dot", "a round"),
        ];
        figure(&self.title, keys.into_iter().collect(), svg, numbers)
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        let rows = Axis::rows(self.bars.len());
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .margin_right(RIGHT)
            .margin_left(RIGHT)
            .set_label_area_size(LabelAreaPosition::Bottom, BELOW)
            .build_cartesian_2d(self.x.clone(), rows.clone())?;
        mesh(&mut chart, &self.x, &rows)?;
        for (row, bar) in self.bars.iter().rev().enumerate() {
            // From below: the bar, and its label above it.
            let at = |part: f64| row as f64 + part;
            let body = [(self.origin, at(0.1)), (bar.median, at(0.5))];
            chart.draw_series([Rectangle::new(body, BAR.filled())])?;
            let middle = at(0.3);
            let least = bar.values.iter().copied().fold(f64::MAX, f64::min);
            let most = bar.values.iter().copied().fold(f64::MIN, f64::max);
            let style = INK.stroke_width(LINE);
            let spread = [
                [(least, middle), (most, middle)],
                [(least, at(0.2)), (least, at(0.4))],
                [(most, at(0.2)), (most, at(0.4))],
            ];
            let spread = spread.map(|line| PathElement::new(line, style));
            chart.draw_series(spread)?;
            let style = line_colour(1).filled();
            let dots = bar.values.iter();
            let dots = dots.map(|&value| Circle::new((value, middle), ROUND, style));
            chart.draw_series(dots)?;
            let ends = [(self.origin, at(0.05)), (self.origin, at(0.55))];
            chart.draw_series([PathElement::new(ends, INK.stroke_width(LINE))])?;
            let corner = (self.x.range().start, at(0.92));
            let label = Text::new(bar.label.clone(), corner, letters());
            chart.draw_series([label])?;
        }
        Ok(())
    }
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// Axes, their labels, and a line at each.
fn mesh(chart: &mut Chart<'_, '_>, x: &Axis, y: &Axis) -> Drawn {
    chart
        .configure_mesh()
        .x_label_formatter(&|value| x.label(*value))
        .y_label_formatter(&|value| y.label(*value))
        .label_style(letters())
        .set_all_tick_mark_size(TICK)
        .axis_style(INK.stroke_width(3))
        .bold_line_style(GRID.stroke_width(3))
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(())
}

fn letters() -> TextStyle<'static> {
    TextStyle::from(("sans-serif", LETTERS).into_font()).color(&INK)
}

/// The chart that `draw` makes.
fn drawn(title: &str, height: u32, points: usize, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Markup {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let drawn = draw(&area).and_then(|()| Ok(area.present()?));
        drawn.expect("a chart in memory cannot fail");
    }
    // The first line has a fixed size, and a name space that HTML does without.
    let inner = svg.split_once('\n').map_or("", |(_, rest)| rest);
    own(format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" data-points=\"{points}\" \
         aria-label=\"{}\">\n{}",
        text(title),
        painted(inner)
    ))
}

/// `svg` with classes in place of the placeholder colours.
fn painted(svg: &str) -> String {
    let numbered = (1..).zip(INKS);
    numbered.fold(svg.to_owned(), |svg, (number, ink)| {
        let colour = format!("#0000{number:02X}");
        svg.replace(
            &format!("stroke=\"{colour}\""),
            &format!("class=\"stroke {ink}\""),
        )
        .replace(
            &format!("fill=\"{colour}\""),
            &format!("class=\"fill {ink}\""),
        )
    })
}

/// What a colour and a pattern stand for.
fn key(class: &str, name: &str) -> Markup {
    let shape = match class {
        "shade" | "bar" => format!("<rect width=\"200\" height=\"80\" class=\"fill {class}\"/>"),
        "dot" => "<circle cx=\"100\" cy=\"40\" r=\"36\" class=\"fill line-2\"/>".into(),
        line => format!(
            "<line x1=\"0\" x2=\"200\" y1=\"40\" y2=\"40\" stroke-width=\"16\" \
             class=\"stroke {line}\"/>"
        ),
    };
    let sample = format!("<svg viewBox=\"0 0 200 80\">{shape}</svg>");
    element("li", own(sample) + text(name))
}

fn figure(title: &str, keys: Markup, svg: Markup, numbers: Markup) -> Markup {
    let keys = match keys.is_empty() {
        true => keys,
        false => element("ul.keys", keys),
    };
    let caption = element("figcaption", text(title));
    let numbers = match numbers.is_empty() {
        true => numbers,
        false => details("The numbers", numbers),
    };
    element("figure", caption + keys + svg + numbers)
}
