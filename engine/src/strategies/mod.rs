//! The strategies: one file each; a configuration names the one it wants.

pub mod echo;
pub mod scalping_v1;
