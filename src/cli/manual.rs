//! What the program tells other programs of its options: man pages, and what shells complete.
//!
//! Both come from clap's picture of the command line; the load tester's come from here, too. It
//! knows no value. Read next:
//! [`crate::args`].

use clap::CommandFactory as _;
use clap::builder::Resettable;
pub use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::{Args, ENVIRONMENT, EXAMPLES, EXIT_CODES};
use crate::error::Error;
use crate::usage;

/// The script by which `shell` completes a command line.
pub(crate) fn completions(shell: Shell) -> String {
    script(&mut Args::command(), shell)
}

/// The script by which `shell` completes a command line of `program`.
pub fn script(program: &mut clap::Command, shell: Shell) -> String {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, program, name, &mut script);
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
    let behind: &[&str] = match command {
        None => &[ENVIRONMENT, EXAMPLES, EXIT_CODES],
        Some(_) => &[],
    };
    page_of(shown.clone(), behind)
}

/// The man page of `program`, with these parts of its help `behind` the options.
///
/// # Errors
///
/// [`Error::Local`], if it cannot be made.
pub fn page_of(program: clap::Command, behind: &[&str]) -> Result<String, Error> {
    let mut page = Vec::new();
    let written = Man::new(program).render(&mut page);
    written.map_err(|error| Error::Local(format!("man: {error}")))?;
    let page = String::from_utf8_lossy(&page).into_owned();
    Ok(page + &behind.iter().map(|text| section(text)).collect::<String>())
}

/// A part of the help, whose heading ends at its colon, as a section that keeps its lines.
fn section(text: &str) -> String {
    let (heading, lines) = text.split_once(':').unwrap_or(("Notes", text));
    let heading = heading.to_uppercase();
    let lines = lines.trim().replace('\\', "\\e").replace('-', "\\-");
    let lines = lines.replace("\n  ", "\n");
    format!(".SH {heading}\n.nf\n{lines}\n.fi\n")
}
