//! Shell completions and man pages, made from the command line as clap knows it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

const NAME: &str = "hybridge";

/// Which shell completes.
#[derive(Args, Clone, Copy, Debug)]
pub struct Completions {
    /// Shell that reads them
    pub shell: Shell,
}

/// Where the pages go.
#[derive(Args, Clone, Debug)]
pub struct ManPages {
    /// Directory to write to; made if it is missing
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

impl Completions {
    /// Writes the script.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        // Into memory first: the generator panics if a write fails.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), NAME, &mut script);
        out.write_all(&script)
    }
}

impl ManPages {
    /// Writes a page for each command; how many.
    pub fn write(&self) -> io::Result<usize> {
        fs::create_dir_all(&self.directory)?;
        let mut root = Cli::command().disable_help_subcommand(true);
        root.build();
        write_pages(root, &self.directory)
    }
}

/// The page of a command and those of its subcommands: `hybridge-inject-serve.1`.
fn write_pages(command: clap::Command, directory: &Path) -> io::Result<usize> {
    let mut pages = 0;
    for subcommand in command.get_subcommands() {
        pages += write_pages(subcommand.clone(), directory)?;
    }
    let page = clap_mangen::Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(directory.join(page.get_filename()), text)?;
    Ok(pages + 1)
}
