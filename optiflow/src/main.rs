//! The `optiflow` binary: one `match` over the commands.

use std::process::ExitCode;

use clap::Parser;
use optiflow::cli::{Cli, Command, TradeArgs};
use optiflow::{backtest, check, exchange, import, kill, parity, record, sweep, trade, world};

fn main() -> ExitCode {
    match Cli::parse().command {
        None => trade::run(&TradeArgs::default()),
        Some(Command::Trade(args)) => trade::run(&args),
        Some(Command::Exchange(args)) => exchange::run(&args),
        Some(Command::Backtest(args)) => backtest::command::run(&args),
        Some(Command::Sweep(args)) => sweep::command::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Record(args)) => record::command::run(&args),
        Some(Command::Parity(args)) => parity::command::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Kill(args)) => kill::run(&args),
        Some(Command::World(args)) => world::command::run(&args),
    }
}
