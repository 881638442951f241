//! The `optiflow` binary: one `match` over the commands.

use std::process::ExitCode;

use clap::Parser;
use optiflow::cli::{Cli, Command, TradeArgs};
use optiflow::{check, exchange, trade};

fn main() -> ExitCode {
    match Cli::parse().command {
        None => trade::run(&TradeArgs::default()),
        Some(Command::Trade(args)) => trade::run(&args),
        Some(Command::Exchange(args)) => exchange::run(&args),
        Some(Command::Check(args)) => check::run(&args),
    }
}
