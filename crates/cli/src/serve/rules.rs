//! The rules of `ehlo serve`.

use std::path::Path;
use std::process::ExitCode;

use ehlo_policy::Rules;

use super::{Args, Failure};
use crate::console::{print, tell};

/// What --rules and --seed say; `None` if there is no --rules.
pub(super) fn load(args: &Args) -> Result<Option<Rules>, Failure> {
    let Some(path) = &args.rules else { return Ok(None) };
    Rules::from_toml(&read(path)?).map(|rules| Some(rules.with_seed(args.seed))).map_err(|error| wrong(path, &error))
}

/// Tells what is unusual in the file of --rules.
pub(super) fn check(args: &Args) -> Result<ExitCode, Failure> {
    let Some(path) = &args.rules else { return Ok(ExitCode::SUCCESS) };
    let text = read(path)?;
    let rules = Rules::from_toml(&text).map_err(|error| wrong(path, &error))?;
    for remark in Rules::remarks(&text).map_err(|error| wrong(path, &error))? {
        tell("serve", format_args!("{}: {remark}", path.display()));
    }
    print(format_args!("{}: {} rules", path.display(), rules.len()))
        .map_err(|error| Failure::Start(format!("cannot write: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Usage(format!("--rules {}: {error}", path.display())))
}

fn wrong(path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("--rules {}: {}", path.display(), error.to_string().trim_end()))
}

/// Tells how often each rule was applied.
pub(super) fn sum_up(rules: &Rules) {
    for count in rules.counts() {
        let name = count.name.map(|name| format!(" ({name})")).unwrap_or_default();
        let (number, applied, matched) = (count.number, count.applied, count.matched);
        tell("serve", format_args!("rule {number}{name}: applied {applied} times of the {matched} that it fitted"));
    }
}
