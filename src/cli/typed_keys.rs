//! Keys on the command line, taken out of it before a parser copies them.
//!
//! A parser of a command line keeps copies of its words, and does not erase them. So it gets
//! a placeholder for each key, and the keys go into its result.
//! [`crate::exposure`] overwrites the process's own arguments.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::ArgMatches;
use sealwire::Secret;
use zeroize::Zeroizing;

use crate::args::KeyArgs;

/// The two options, as [`KeyArgs`] defines them.
pub(crate) const OPTIONS: [&str; 2] = ["--confkey", "--authkey"];
/// Stands for a key while the rest of the command line is parsed.
const PLACEHOLDER: &str = "-";

/// Where a key stands on a command line.
pub(crate) struct Place {
    /// The index of its option in [`OPTIONS`].
    pub(crate) option: usize,
    /// The index of its word.
    pub(crate) word: usize,
    /// Where it starts in the word, whose rest it is.
    pub(crate) from: usize,
}

/// The values of both options in `words`, as clap finds them: any next word, or the text
/// behind a `=`. The first word is the program's name.
pub(crate) fn places<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Vec<Place> {
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

/// What clap makes of `words`, which begin with the program's name, and which options it
/// found there. It never sees the keys, which go to the [`KeyArgs`] that `keys` finds in the
/// result.
///
/// # Errors
///
/// Those of clap, and its help and version.
pub fn parse<T: clap::Parser>(
    words: impl IntoIterator<Item = OsString>,
    keys: impl FnOnce(&mut T) -> &mut KeyArgs,
) -> Result<(T, ArgMatches), clap::Error> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let taken = TypedKeys::take(&mut words);
    let matches = T::command().try_get_matches_from(words)?;
    let mut typed = T::from_arg_matches(&matches)?;
    taken.put_back(keys(&mut typed));
    Ok((typed, matches))
}

/// The keys of a command line: the confkey and the authkey.
struct TypedKeys([Option<Secret>; 2]);

impl TypedKeys {
    /// Takes them out of `words`, which begin with the program's name.
    fn take(words: &mut [OsString]) -> Self {
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
            // An option that is given twice loses the first key here; clap refuses it.
            taken[option] = Some(key);
        }
        Self(taken)
    }

    /// Puts them where `args` has the placeholders.
    fn put_back(self, args: &mut KeyArgs) {
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
