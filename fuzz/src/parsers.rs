//! Parsers without keys, each compared with a second reading of what it should do.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

use sealwire::classic::{as_text, frame};
use sealwire::conn::session::join;
use sealwire::net::address;
use sealwire::net::place::Place;
use sealwire::text::{Escaped, is_visible};
use sealwire::wire::hello::{self, ClientHello};
use sealwire::wire::pack::PackReader;
use sealwire::wire::record;
use sealwire_cli::units;

use crate::script::Script;
use crate::told::{Told, unpack};

/// Whether `bytes` begin like `wanted`, as far as both go.
fn agrees(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.iter().zip(wanted).all(|(a, b)| a == b)
}

/// The layouts of both hellos.
pub(crate) fn hello(bytes: &[u8]) {
    let known = agrees(bytes, b"SWP1\x01");
    assert_eq!(hello::check_fixed(bytes).is_ok(), known);
    let service = bytes.get(5).is_none_or(|&service| service < 3);
    let rest = bytes.get(6..).is_none_or(|rest| agrees(rest, &[0; 2]));
    assert_eq!(hello::may_be_client(bytes), known && service && rest);
    if let Some(whole) = bytes.first_chunk() {
        match ClientHello::parse(whole) {
            Ok(parsed) => assert_eq!(parsed.encode(), whole[..48]),
            Err(_) => assert!(!known || !rest),
        }
    }
    if let Some(whole) = bytes.first_chunk() {
        match hello::parse_server(whole) {
            Ok(public) => assert_eq!(hello::encode_server(&public), whole[..40]),
            Err(_) => assert!(!known || whole[5..8] != [0; 3]),
        }
    }
}

/// The length field and the plaintext of a record, and how messages are cut.
pub(crate) fn record(bytes: &[u8]) {
    let field = bytes.first_chunk().map(|field| u16::from_be_bytes(*field));
    match record::parse_blocks(bytes) {
        Ok(blocks) => {
            assert_eq!(blocks, field);
            assert!(blocks.is_none_or(|blocks| (1..=1025).contains(&blocks)));
        }
        Err(_) => assert!(field.is_some_and(|blocks| !(1..=1025).contains(&blocks))),
    }

    // The longest plaintexts are behind two bytes that say how many zeros follow.
    let mut script = Script::new(bytes);
    let zeros = usize::from(script.word() % 17_000);
    let mut plaintext = script.rest().to_vec();
    plaintext.resize(plaintext.len() + zeros, 0);
    let kind_at = plaintext.iter().rposition(|&byte| byte != 0);
    // Between two messages, and with our FIN sent, any kind may come.
    let mut told = Told::default();
    told.take(&plaintext, true);
    let is_pack = kind_at.is_some_and(|at| plaintext[at] == 8);
    match record::parse_plaintext(&plaintext) {
        Ok((kind, len)) => {
            assert_eq!(Some(len), kind_at);
            assert_eq!(kind as u8, plaintext[len]);
            assert!(is_pack || told.over != Some(crate::told::Over::Fault));
        }
        Err(_) => assert_eq!(told.over, Some(crate::told::Over::Fault)),
    }

    let mut at = 0;
    let mut last = false;
    for (range, kind) in record::cut(zeros * 4) {
        assert!(!last && range.start == at && range.len() <= 16_384);
        at = range.end;
        last = kind == record::Kind::End;
    }
    assert!(last && at == zeros * 4);
}

/// The payload of a pack, read and made.
pub(crate) fn pack(bytes: &[u8]) {
    let read = PackReader::new(bytes).ok().map(|mut reader| {
        let mut messages = Vec::new();
        while let Some(range) = reader.next(bytes) {
            messages.push(bytes[range].to_vec());
        }
        messages
    });
    assert_eq!(read, unpack(bytes));

    let mut script = Script::new(bytes);
    let mut messages = Vec::new();
    let mut len = 0;
    while !script.has_ended() && len < 1 << 17 {
        let message = script.lump();
        for _ in 0..script.below(4) + 1 {
            len += message.len();
            messages.push(message.clone());
        }
    }
    let borrowed: Vec<&[u8]> = messages.iter().map(|message| &message[..]).collect();
    let (bytes, chunks) = join(&borrowed);
    let mut told = Told::default();
    for (span, kind) in chunks {
        told.take(&[&bytes[span.range()], &[kind as u8]].concat(), false);
        assert_eq!(told.over, None);
    }
    assert!(told.messages == messages);
}

/// The length in a classic frame, how text is cut into frames, and messages made text.
pub(crate) fn frame_length(bytes: &[u8]) {
    let text = str::from_utf8(bytes).ok();
    let number = text.and_then(|text| text.parse::<u64>().ok());
    let plain = number.filter(|&n| n > 0 && bytes.len() <= 15 && n.to_string().as_bytes() == bytes);
    assert_eq!(frame::parse_length(bytes).ok(), plain);

    let mut rest = text.unwrap_or_default();
    while !rest.is_empty() {
        let part = frame::first_frame(rest);
        assert!(!part.is_empty() && part.len() <= 15 && rest.starts_with(part));
        rest = &rest[part.len()..];
    }

    let (line, left_out) = as_text(bytes.to_vec());
    let added = usize::from(line.len() + left_out > bytes.len());
    assert_eq!(line.len() + left_out, bytes.len() + added);
    assert!(line.ends_with(b"\n") && str::from_utf8(&line).is_ok());
    assert!(text.is_none_or(|text| line.starts_with(text.as_bytes())));
}

/// Text made harmless: nothing passes that a terminal acts on, and nothing is lost.
pub(crate) fn text(bytes: &[u8]) {
    // Only a backslash could be taken for an escape.
    let bytes: Vec<u8> = bytes
        .iter()
        .map(|&b| if b == b'\\' { b'/' } else { b })
        .collect();
    let shown = Escaped(&bytes).to_string();
    assert!(shown.chars().all(|c| is_visible(c) || c == '\t'), "{shown}");
    let mut parts = shown.split('\\');
    let mut back = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let rest = if let Some(hex) = part.strip_prefix("u{") {
            let (hex, rest) = hex.split_once('}').expect("closed");
            let number = u32::from_str_radix(hex, 16).expect("hex");
            let c = char::from_u32(number).expect("a character");
            back.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest
        } else {
            let (hex, rest) = part[1..].split_at(2);
            back.push(u8::from_str_radix(hex, 16).expect("hex"));
            rest
        };
        back.extend_from_slice(rest.as_bytes());
    }
    assert_eq!(back, bytes);
}

/// Addresses as typed, and as shown.
pub(crate) fn address(bytes: &[u8]) {
    let typed = String::from_utf8_lossy(bytes);
    let bare = address::without_brackets(&typed);
    let (ip, zone) = match bare.split_once('%') {
        Some((ip, zone)) => (ip, Some(zone)),
        None => (bare, None),
    };
    let expected = ip.parse::<IpAddr>().ok().map(|ip| (ip, zone));
    assert_eq!(address::parse(bare), expected);

    let mut script = Script::new(bytes);
    let (port, scope) = (script.word(), script.pick(&[0, 0, 1, u32::MAX]));
    let shown = match script.rest() {
        [] => return,
        [a, b, c, d, ..] if port % 2 == 0 => {
            SocketAddr::new(Ipv4Addr::new(*a, *b, *c, *d).into(), port)
        }
        some => {
            let mut ip = [0; 16];
            let len = some.len().min(16);
            ip[..len].copy_from_slice(&some[..len]);
            SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope).into()
        }
    };
    let text = address::host_and_port(shown);
    let (host, number) = text.rsplit_once(':').expect("a port");
    assert_eq!(number.parse(), Ok(port));
    let (ip, zone) = address::parse(address::without_brackets(host)).expect("an address");
    assert_eq!(ip, shown.ip());
    assert_eq!(zone.is_some(), shown.is_ipv6() && scope != 0);
    let why = address::why_not_connected(shown, &io::Error::from_raw_os_error(22));
    assert!(why.starts_with(&ip.to_string()));
}

/// Where a tunnel may go. What is shown of it is read as the same.
pub(crate) fn place(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let place = Place::target(&text);
    if let Some(path) = text.strip_prefix("unix:") {
        let right = (1..=107).contains(&path.len()) && !path.contains('\0');
        assert_eq!(place, right.then(|| Place::Unix(Path::new(path).into())));
        return;
    }
    let Some(place) = place else {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        let found = text.rsplit_once(':').filter(|(host, port)| {
            let port = port.parse::<u16>().is_ok_and(|port| port > 0) && !port.contains('+');
            !host.is_empty() && host.chars().all(plain) && port
        });
        assert_eq!(found, None);
        return;
    };
    let (host, number) = text.rsplit_once(':').expect("a host and a port");
    let host = match host.strip_prefix('[') {
        Some(inside) => {
            let inside = inside.strip_suffix(']').expect("both brackets");
            let (ip, _) = inside.split_once('%').unwrap_or((inside, ""));
            assert!(ip.parse::<Ipv6Addr>().is_ok());
            inside
        }
        None => {
            assert!(!host.contains([':', '/', '[', ']']));
            host
        }
    };
    assert!(is_visible_word(host));
    let port = number.parse().expect("a port");
    assert!(port > 0 && number.bytes().all(|byte| byte.is_ascii_digit()));
    let host = host.to_owned();
    assert_eq!(place, Place::Tcp { host, port });
    let shown = place.to_string();
    let again = Place::target(&shown).expect("what is shown is one");
    assert_eq!(again.to_string(), shown);
}

fn is_visible_word(text: &str) -> bool {
    let visible = |c| is_visible(c) && !c.is_whitespace();
    !text.is_empty() && text.chars().all(visible)
}

/// Sizes and times.
pub(crate) fn units(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // A plus sign is as good as none.
    let number = |digits: &str, unit: u64| -> Option<u64> {
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let digits = digits.trim_start_matches('0');
        let value = match plain && digits.len() <= 20 {
            true => format!("0{digits}").parse::<u128>().ok()?,
            false => return None,
        };
        u64::try_from(value).ok()?.checked_mul(unit)
    };
    let with = |units: &[(&str, u64)]| {
        let start = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let (_, unit) = units
            .iter()
            .find(|(name, _)| *name == &text[start.len()..])?;
        number(start, *unit)
    };
    let sizes = [("", 1), ("k", 1024), ("m", 1 << 20), ("g", 1 << 30)];
    let sizes = sizes
        .into_iter()
        .chain([("K", 1024), ("M", 1 << 20), ("G", 1 << 30)]);
    let size = with(&sizes.collect::<Vec<_>>());
    assert_eq!(units::size(&text).map(|size| size as u64), size);
    let times = [
        ("", 1000),
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    assert_eq!(units::time(&text), with(&times).map(Duration::from_millis));
}
