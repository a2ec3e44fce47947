//! A command under which a mistaken one stands: `hybridge serve` is `hybridge inject serve`.

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Cli;

/// What to write instead, if `error` is about a command that is one of another command's.
pub fn belongs_to(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(written)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let program = Cli::command();
    let has = |parent: &&clap::Command| {
        let mut below = parent.get_subcommands();
        below.any(|command| command.get_name() == written)
    };
    let mut parents = program.get_subcommands().filter(has);
    let (parent, others) = (parents.next()?.get_name(), parents.count());
    (others == 0).then(|| {
        format!("`{written}` is a command of `{parent}`: write `hybridge {parent} {written}`")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_command_of_another_is_named_with_it() {
        let said = |word: &str| {
            let error = Cli::try_parse_from(["hybridge", word]).err();
            error.and_then(|error| belongs_to(&error))
        };
        assert_eq!(
            said("serve").as_deref(),
            Some("`serve` is a command of `inject`: write `hybridge inject serve`")
        );
        assert_eq!(
            said("drain").as_deref(),
            Some("`drain` is a command of `ctl`: write `hybridge ctl drain`")
        );
        assert_eq!(said("nonsense"), None);
        assert_eq!(said("--nonsense"), None);
    }
}
