//! Which state of the tables queries read.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveTime};
use clap::Args;

use crate::engine::Engine;
use crate::error::Result;
use crate::lake::{At, Lake};
use crate::name::TableName;
use crate::ops::Epoch;
use crate::runtime::Timestamp;

/// Which state of the tables is read.
#[derive(Clone, Debug, Args)]
pub(super) struct States {
    /// Read Bronze, Silver and Gold as an earlier run left them; without it, as the latest did
    #[arg(long, value_name = "N", conflicts_with = "latest")]
    pub(super) epoch: Option<u64>,
    /// Read the newest version of every table, published or not
    #[arg(long)]
    pub(super) latest: bool,
    /// Read a table as it was in a version
    #[arg(long = "at-version", value_name = "TABLE=VERSION", value_parser = parse_version)]
    at_version: Vec<(TableName, At)>,
    /// Read a table as it was at a time, as 2026-11-20 or 2026-11-20T12:00:00Z
    #[arg(long = "at", value_name = "TABLE=TIME", value_parser = parse_time)]
    at: Vec<(TableName, At)>,
}

impl States {
    /// The state of each table that is not read as it is now, and the number of the epoch that they
    /// are of: what was chosen, and otherwise that of an epoch.
    pub(super) async fn read(
        &self,
        engine: &Engine,
        lake: &Lake,
    ) -> Result<(Option<u64>, HashMap<TableName, At>)> {
        let mut at = HashMap::new();
        let mut number = None;
        if !self.latest {
            let epoch = Epoch::read(engine, lake, self.epoch).await?;
            number = Some(epoch.number);
            at.extend(
                epoch.tables.into_iter().map(|(table, one)| (table, At::Version(one.version))),
            );
        }
        at.extend(self.chosen());
        Ok((number, at))
    }

    /// The tables whose state was chosen one by one.
    pub(super) fn chosen(&self) -> impl Iterator<Item = (TableName, At)> {
        self.at_version.iter().chain(&self.at).cloned()
    }
}

fn parse_version(text: &str) -> Result<(TableName, At), String> {
    let (table, version) = text.split_once('=').ok_or("write TABLE=VERSION")?;
    let version = version.parse().map_err(|_| format!("`{version}` is no version number"))?;
    Ok((table.parse()?, At::Version(version)))
}

fn parse_time(text: &str) -> Result<(TableName, At), String> {
    let (table, time) = text.split_once('=').ok_or("write TABLE=TIME")?;
    let instant = DateTime::parse_from_rfc3339(time)
        .map(|instant| instant.to_utc())
        .or_else(|_| time.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc()))
        .map_err(|_| format!("`{time}` is no time: write for instance 2026-11-20T12:00:00Z"))?;
    Ok((table.parse()?, At::Time(instant as Timestamp)))
}
