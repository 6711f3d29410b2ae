//! Which options stand on the command line.

/// The options that stand on the command line, by their names with `_` in place of `-`.
#[derive(Debug, Default)]
pub(crate) struct Given(Vec<String>);

impl Given {
    pub(crate) fn of(matches: Option<&clap::ArgMatches>) -> Self {
        let Some(matches) = matches else { return Self::default() };
        let on_line =
            |id: &&clap::Id| matches.value_source(id.as_str()) == Some(clap::parser::ValueSource::CommandLine);
        Self(matches.ids().filter(on_line).map(|id| id.as_str().to_owned()).collect())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|given| given == name)
    }
}
