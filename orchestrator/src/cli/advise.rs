//! `advise`: which settings to change, and which participant is about to fail, from what journals tell.

mod text;

use super::{
    CheckOutputFormat, OutputFormat,
    archive::ArchiveSourceArgs,
    output,
    replay::{JournalSource, ReplayMeter, journals},
    selection::StartedSince,
    store::StoreReadArgs,
};
use crate::{
    source_files::{self, paths},
    startup::{DefinitionFiles, ProvedFiles, prove_files},
};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};
use saga_base::clock::EngineClock;
use saga_core::definition;
use saga_engine::advice::{
    self, AdviceReport, AdviceRequest, AdviceSelection, GivenDefinition, GivenParticipants, OutlookWord,
};
use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `saga advise`.
#[derive(Debug, Args)]
pub(super) struct AdviseArgs {
    /// Use only sagas that started then or later: a time (RFC 3339), or how long ago, like 7d
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<StartedSince>,
    /// Say only what is about this participant
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    participant: Option<String>,
    /// Say only what is about this definition and the participants that it calls
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    definition: Option<String>,
    /// The present settings of participants [default: participants.yaml below the key sagas of the configuration]
    #[arg(long, value_name = "FILE")]
    participants: Option<PathBuf>,
    /// Number of engines that share the load: bulkheads and rate limits are for each engine
    #[arg(long, value_name = "N", default_value = "1")]
    engines: NonZeroU32,
    /// Exit with 1 if there is something of this kind
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    fail_on: Vec<AdviceFailure>,
    #[command(flatten)]
    source: ArchiveSourceArgs,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: CheckOutputFormat,
}

/// What makes the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AdviceFailure {
    /// A setting should have another value
    Advice,
    /// A participant fails, or is likely to fail within half an hour
    Forecast,
    /// A journal cannot be read
    Unreadable,
}

impl AdviceFailure {
    fn is_met(self, report: &AdviceReport) -> bool {
        match self {
            AdviceFailure::Advice => !report.advice.is_empty(),
            AdviceFailure::Forecast => report.forecasts.iter().any(|it| match it.outlook {
                OutlookWord::Failing | OutlookWord::LikelyToFail => true,
                OutlookWord::Steady | OutlookWord::NotEnoughEvidence => false,
            }),
            AdviceFailure::Unreadable => report.read.skipped > 0,
        }
    }
}

pub(super) async fn advise(args: AdviseArgs) -> anyhow::Result<ExitCode> {
    let JournalSource { journals, cut } = journals(&args.source, &args.store, args.definition.as_deref()).await?;
    cut.iter().for_each(|it| output::note(&it.to_string()));
    let (participants, definitions) = args.given()?;
    let request = AdviceRequest {
        since: args.since.map(|since| since.0),
        wanted: AdviceSelection { participant: args.participant.clone(), definition: args.definition.clone() },
        engines: args.engines,
        participants,
        definitions,
        now: EngineClock::Wall.now(),
    };
    args.knows_participant(request.participants.as_ref())?;
    let has_file = request.participants.is_some();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let meter = ReplayMeter::new("read");
    let report = advice::advise(journals, request, workers, |progress| meter.show(progress)).await;
    meter.end();
    let report = report.context("the event store was not read to its end")?;
    if let (Some(name), false, true) = (&args.participant, has_file, report.observed.is_empty()) {
        bail!("no recorded saga called a participant `{name}`\nhint: --participants names the file that has it");
    }
    match args.output {
        CheckOutputFormat::Text => output::line(text::report(&report).trim_end())?,
        CheckOutputFormat::Json => output::one(&report, OutputFormat::Json, |_| String::new())?,
    }
    Ok(ExitCode::from(u8::from(args.fail_on.iter().any(|on| on.is_met(&report)))))
}

impl AdviseArgs {
    /// The files as they are now. Files of the configuration that cannot be used are a note: the store has what its
    /// sagas ran by.
    fn given(&self) -> anyhow::Result<(Option<GivenParticipants>, Vec<GivenDefinition>)> {
        let sagas = self.store.config()?.sagas;
        let files = match &self.participants {
            Some(file) => with_participants(&sagas, file)?,
            None if sagas.is_dir() => files_of(&sagas)?,
            None => return Ok((None, Vec::new())),
        };
        match prove_files(&files) {
            Ok(proved) => Ok(given(&files, proved)),
            Err(error) if self.participants.is_some() => {
                Err(error).context("the files cannot be used; `saga check` shows the same findings")
            }
            Err(error) => {
                output::note(&format!("{}: the files are not used, because of errors\n{error}", sagas.display()));
                Ok((None, Vec::new()))
            }
        }
    }

    /// A mistyped name is an error, instead of an empty answer.
    fn knows_participant(&self, given: Option<&GivenParticipants>) -> anyhow::Result<()> {
        let (Some(name), Some(given)) = (&self.participant, given) else { return Ok(()) };
        if given.participants.get(name).is_some() {
            return Ok(());
        }
        let guess = definition::or_did_you_mean(name, given.participants.names());
        bail!("{} has no participant `{name}`{guess}", given.file)
    }
}

fn files_of(sagas: &Path) -> anyhow::Result<DefinitionFiles> {
    let mut files = DefinitionFiles::beside(sagas, Path::new("")).with_context(|| sagas.display().to_string())?;
    files.add_definitions(&paths(sagas, ".saga.yaml")?)?;
    Ok(files)
}

fn with_participants(sagas: &Path, file: &Path) -> anyhow::Result<DefinitionFiles> {
    let files = if sagas.is_dir() { files_of(sagas)? } else { DefinitionFiles::default() };
    let text = source_files::read(file)?.map_err(|finding| anyhow::anyhow!("{finding}"))?;
    Ok(DefinitionFiles { participants: Some(text), ..files })
}

fn given(files: &DefinitionFiles, proved: ProvedFiles) -> (Option<GivenParticipants>, Vec<GivenDefinition>) {
    let participants = files.participants.as_ref().map(|file| GivenParticipants {
        file: file.name.clone(),
        text: file.text.clone(),
        participants: proved.participants,
    });
    let definitions = proved.plans.into_iter().map(|plan| {
        let file = files.sagas.iter().find(|file| file.text == plan.definition.text);
        GivenDefinition { file: file.map_or_else(|| plan.definition.name.clone(), |file| file.name.clone()), plan }
    });
    (participants, definitions.collect())
}
