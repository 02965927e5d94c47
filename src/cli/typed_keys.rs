//! Keys on the command line, taken out of it before anything copies them.
//!
//! Whatever parses a command line keeps copies of its words that it does not erase.
//! [`TypedKeys::take`] leaves a placeholder for each key, and
//! [`TypedKeys::put_back`] gives what was parsed its keys. What is left in the
//! process's own arguments is [`super::exposure`]'s.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use zeroize::Zeroizing;

use super::args::KeyArgs;
use sealwire::crypto::secret::Secret;

/// The two options, as [`KeyArgs`] defines them.
pub(super) const OPTIONS: [&str; 2] = ["--confkey", "--authkey"];
/// What stands for a key until it is put back.
const PLACEHOLDER: &str = "-";

/// Where a key stands on a command line.
pub(super) struct Place {
    /// Whose value it is: an index into [`OPTIONS`].
    pub(super) option: usize,
    /// In which word.
    pub(super) word: usize,
    /// From where in it, to its end.
    pub(super) from: usize,
}

/// The values of both options in `words`, as clap finds them: the next word, whatever it
/// is, or what follows a `=`. The first word is the program's name.
pub(super) fn places<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Vec<Place> {
    let mut places = Vec::new();
    let mut words = words.into_iter().enumerate().skip(1);
    while let Some((at, word)) = words.next() {
        if word == b"--" {
            break;
        }
        for (option, name) in OPTIONS.iter().enumerate() {
            let (word, from) = match word.strip_prefix(name.as_bytes()) {
                Some([]) => match words.next() {
                    Some((value, _)) => (value, 0),
                    None => break,
                },
                Some([b'=', ..]) => (at, name.len() + 1),
                _ => continue,
            };
            places.push(Place { option, word, from });
            break;
        }
    }
    places
}

/// The keys of a command line: the confkey and the authkey.
#[derive(Debug)]
pub struct TypedKeys([Option<Secret>; 2]);

impl TypedKeys {
    /// Takes them out of `words`, the first of which is the program's name.
    pub fn take(words: &mut [OsString]) -> Self {
        let mut taken = [None, None];
        for place in places(words.iter().map(|word| word.as_bytes())) {
            let Place { option, word, from } = place;
            let head = String::from_utf8_lossy(&words[word].as_bytes()[..from]).into_owned();
            let left = OsString::from(head + PLACEHOLDER);
            let whole = std::mem::replace(&mut words[word], left).into_vec();
            let key = if from == 0 {
                Secret::new(whole)
            } else {
                Secret::new(Zeroizing::new(whole)[from..].to_vec())
            };
            // Of an option that is given twice: that is refused.
            taken[option] = Some(key);
        }
        Self(taken)
    }

    /// Puts them where `args` has the placeholders.
    pub fn put_back(self, args: &mut KeyArgs) {
        for (parsed, taken) in [&mut args.confkey, &mut args.authkey]
            .into_iter()
            .zip(self.0)
        {
            if parsed.is_some() && taken.is_some() {
                *parsed = taken;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;
    use proptest::prelude::*;

    use super::*;
    use crate::args::Args;

    /// The two keys as clap reads them; `None` if it refuses the line.
    fn keys(words: Vec<OsString>, taken: Option<TypedKeys>) -> Option<[Option<Vec<u8>>; 2]> {
        let mut typed = Args::try_parse_from(words).ok()?;
        if let Some(taken) = taken {
            taken.put_back(&mut typed.keys);
        }
        let keys = [typed.keys.confkey, typed.keys.authkey];
        Some(keys.map(|key| key.map(|key| key.expose().to_vec())))
    }

    /// A word that decides where a key stands, or may be one.
    fn word() -> impl Strategy<Value = String> {
        let words = "--confkey --authkey --confkey= --authkey=SECRET --confkey=--authkey SECRET \
                     -SECRET -- - --server -s -c --client --client=h --keys --name --port=1 \
                     keygen --confkeys --conf";
        let words = words.split(' ').chain([""]);
        prop::sample::select(words.collect::<Vec<_>>()).prop_map(str::to_owned)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Goal: a line means the same with its keys taken out and put back, and clap gets
        /// none of them. Method: words in any order.
        #[test]
        fn what_is_taken_is_put_back(words in prop::collection::vec(word(), 0..7)) {
            let words = ["sealwire".to_owned()].into_iter().chain(words);
            let mut words: Vec<OsString> = words.map(OsString::from).collect();
            let plain = keys(words.clone(), None);
            let taken = TypedKeys::take(&mut words);
            if let Some(seen) = keys(words.clone(), None) {
                prop_assert!(seen.iter().flatten().all(|key| key == PLACEHOLDER.as_bytes()));
            }
            prop_assert_eq!(keys(words, Some(taken)), plain);
        }
    }
}
