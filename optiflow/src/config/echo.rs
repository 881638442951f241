//! The settings of `echo` in a configuration; what each means is written at `EchoConfig`.

use optiflow_engine::strategies::echo::EchoConfig;

use super::reader::Section;

/// Reads the table; every field may be left out.
pub fn read(section: Section<'_>) -> EchoConfig {
    let config = EchoConfig { away_ticks: section.int("away_ticks", Some(50), 1..=100_000) };
    section.end();
    config
}
