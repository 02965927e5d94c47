//! Reads Rust source just well enough to find the paths that it names.
//!
//! Comments, doc comments, strings and characters are no code and name nothing.
//! What a path means is not known here: see the rules in `main.rs`.

/// A word or a sign of the source. Of the signs, only `::` is longer than one
/// character.
#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// Words that a path may follow: in `use ::std::net`, the path is the rest.
const BEFORE_PATHS: [&str; 15] = [
    "as", "break", "dyn", "else", "for", "if", "impl", "in", "match", "mut", "return", "unsafe",
    "use", "where", "while",
];

/// A path, with the groups of a `use` taken apart: `a::{b, c::*}` is `a::b` and
/// `a::c::*`. A lone word is a path of one.
#[derive(Debug)]
pub(crate) struct Path<'a> {
    pub(crate) line: usize,
    /// The modules that it stands in and that this file opens with `mod … {`.
    pub(crate) inside: Vec<&'a str>,
    pub(crate) segments: Vec<&'a str>,
    /// Whether `as` follows.
    pub(crate) renamed: bool,
}

/// All paths of `source`, in order.
pub(crate) fn paths(source: &str) -> Vec<Path<'_>> {
    let mut reader = Reader {
        tokens: tokens(source),
        at: 0,
        depth: 0,
        inside: Vec::new(),
        paths: Vec::new(),
    };
    while reader.at < reader.tokens.len() {
        reader.step();
    }
    reader.paths
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    /// Inline modules that are open, with the depth of their braces.
    inside: Vec<(usize, &'a str)>,
    paths: Vec<Path<'a>>,
}

impl<'a> Reader<'a> {
    fn text(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).map_or("", |t| t.text)
    }

    fn step(&mut self) {
        match self.text(0) {
            "{" => self.depth += 1,
            "}" => {
                self.inside.retain(|&(depth, _)| depth < self.depth);
                self.depth = self.depth.saturating_sub(1);
            }
            "mod" if self.text(2) == "{" => {
                self.inside.push((self.depth + 1, self.text(1)));
                self.at += 1; // its name; the brace is the next step's
            }
            text if is_word(text) => return self.path(Vec::new()),
            _ => {}
        }
        self.at += 1;
    }

    /// Takes the path that starts at the next word, behind `prefix`.
    fn path(&mut self, mut segments: Vec<&'a str>) {
        let line = self.tokens[self.at].line;
        loop {
            let word = self.text(0);
            segments.push(word);
            self.at += 1;
            let goes_on = self.text(0) == "::" && !BEFORE_PATHS.contains(&word);
            match self.text(1) {
                "{" if goes_on => {
                    self.at += 2;
                    return self.group(&segments);
                }
                next if goes_on && (is_word(next) || next == "*") => self.at += 1,
                _ => break,
            }
        }
        self.paths.push(Path {
            line,
            inside: self.inside.iter().map(|&(_, name)| name).collect(),
            segments,
            renamed: self.text(0) == "as",
        });
    }

    /// Takes what is between the braces of a `use`.
    fn group(&mut self, prefix: &[&'a str]) {
        while self.at < self.tokens.len() && self.text(0) != "}" {
            match self.text(0) {
                "as" => self.at += 2,
                text if is_word(text) || text == "*" => self.path(prefix.to_vec()),
                _ => self.at += 1,
            }
        }
        self.at += 1;
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while !rest.is_empty() {
        let (code, len) = match skipped(rest) {
            Some(len) => (false, len),
            None => (true, token_len(rest)),
        };
        let (text, behind) = rest.split_at(len);
        if code {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = behind;
    }
    tokens
}

/// Bytes of the word or sign that `rest` starts with.
fn token_len(rest: &str) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let first = rest.chars().next().map_or(0, char::len_utf8);
    match rest.find(|c| !word(c)).unwrap_or(rest.len()) {
        0 if rest.starts_with("::") => 2,
        0 => first,
        len => len,
    }
}

/// Bytes of the space, comment, literal or lifetime that `rest` starts with.
fn skipped(rest: &str) -> Option<usize> {
    let up_to = |end: &str, from: usize| {
        let found = rest[from..].find(end).map(|at| from + at + end.len());
        found.unwrap_or(rest.len())
    };
    if rest.starts_with(char::is_whitespace) {
        let code = rest.find(|c: char| !c.is_whitespace());
        return Some(code.unwrap_or(rest.len()));
    }
    if rest.starts_with("//") {
        return Some(up_to("\n", 0));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let literal = rest.trim_start_matches(['b', 'c', 'r']);
    let prefix = &rest[..rest.len() - literal.len()];
    if prefix.ends_with('r') {
        let hashes = literal.len() - literal.trim_start_matches('#').len();
        if literal[hashes..].starts_with('"') {
            let end = format!("\"{}", &literal[..hashes]);
            return Some(up_to(&end, prefix.len() + hashes + 1));
        }
    }
    match literal.chars().next()? {
        '"' => Some(prefix.len() + quoted(literal, '"')),
        '\'' => Some(prefix.len() + character_or_lifetime(literal)),
        _ => None,
    }
}

/// Bytes of a comment, in which others may be nested.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let (change, len) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth += change;
        at += len;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Bytes from one unescaped `quote` to the next.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// Bytes of `'x'`, or of `'x`, which names no path either.
fn character_or_lifetime(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 1 + token_len(&rest[1..]),
    }
}
