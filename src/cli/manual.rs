//! What the program tells other programs of its options: man pages, and what shells complete.
//!
//! Both come from clap's picture of the command line. It knows no value. Read next:
//! [`crate::args`].

use clap::CommandFactory as _;
use clap::builder::Resettable;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::{Args, ENVIRONMENT, EXAMPLES, EXIT_CODES};
use crate::error::Error;
use crate::usage;

/// The script by which `shell` completes a command line.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "sealwire", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The man page of the program, or of one of its commands.
///
/// # Errors
///
/// [`Error::Usage`], if there is no such command.
pub(crate) fn page(command: Option<&str>) -> Result<String, Error> {
    // clap would fill the lines of a text behind the options.
    let mut program = Args::command().after_help(Resettable::Reset);
    program.build();
    let shown = match command {
        None => Some(&program),
        Some(name) => program.find_subcommand(name),
    };
    let Some(shown) = shown else {
        let names = program.get_subcommands().map(clap::Command::get_name);
        let names: Vec<_> = names.collect();
        return usage(format!("man: the commands are {}", names.join(", ")));
    };
    let mut page = Vec::new();
    let written = Man::new(shown.clone()).render(&mut page);
    written.map_err(|error| Error::Local(format!("man: {error}")))?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    if command.is_none() {
        page.extend([ENVIRONMENT, EXAMPLES, EXIT_CODES].map(section));
    }
    Ok(page)
}

/// A part of the help, whose heading ends at its colon, as a section that keeps its lines.
fn section(text: &str) -> String {
    let (heading, lines) = text.split_once(':').unwrap_or(("Notes", text));
    let heading = heading.to_uppercase();
    let lines = lines.trim().replace('\\', "\\e").replace('-', "\\-");
    let lines = lines.replace("\n  ", "\n");
    format!(".SH {heading}\n.nf\n{lines}\n.fi\n")
}
