//! Developer tasks, run as `cargo xtask TASK`. One module per task.
//!
//! Nothing here depends on code that a task generates, so a task can always be run to repair it.

mod codegen;
mod loadtest;
mod plant;
mod report;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer tasks of the ehlo workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    CheckReport(report::Arguments),
    Codegen(codegen::Arguments),
    Loadtest(loadtest::Arguments),
    Plant(plant::Arguments),
    Tidy(tidy::Arguments),
}

fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::CheckReport(arguments) => report::main(&arguments),
        Task::Codegen(arguments) => codegen::main(&workspace_root(), &arguments),
        Task::Loadtest(arguments) => loadtest::main(&workspace_root(), &arguments),
        Task::Plant(arguments) => plant::main(&workspace_root(), &arguments),
        Task::Tidy(arguments) => tidy::main(&workspace_root(), &arguments),
    }
}

/// The folder of the workspace's manifest: the one above this package's.
fn workspace_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
