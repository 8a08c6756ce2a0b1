//! The page of a diagnosis.

use kd_metrics::Report;
use kd_metrics::report::{Section, Table};

use super::figures::{Figure, overlap, reliability};
use super::{Diagnosis, Disagreement, MixDiagnosis, NetworkDiagnosis, readings};
use crate::TrainError;

impl Diagnosis {
    /// A self-contained page: tables, pictures, and what each number says.
    ///
    /// # Errors
    ///
    /// [`TrainError::Metric`] when a picture cannot be drawn, or a part is of another number of classes than there are names.
    pub fn page(&self, title: &str) -> Result<String, TrainError> {
        self.check()?;
        let mut sections = vec![self.numbers(), self.accuracy()?, self.calibration()?];
        sections.extend(self.people()?);
        sections.extend(self.structure()?);
        if let Some(ranking) = &self.ranking {
            sections.extend(ranking.sections()?);
        }
        if let Some(mixes) = &self.mixes {
            sections.extend(self.mixes(mixes)?);
        }
        if let Some(relation) = &self.relation {
            let section = Section::new("T. stddev and the student").paragraph(
                "If T. stddev foretells the student, augmentations lie along a rising line: the less the teacher's mean answer varies, the \
                 lower the student's loss.",
            );
            sections.push(with(section, relation.figure()?));
        }
        let report = Report::new(title).lead(readings::lead(self));
        Ok(sections.into_iter().fold(report, Report::section).render())
    }

    fn numbers(&self) -> Section {
        let mut section = Section::new("The numbers");
        if let [only] = &self.networks[..] {
            section = section.numbers([
                ("top-1", format!("{:.2} %", 100.0 * only.evaluation.top1)),
                ("NLL", format!("{:.4} nats", only.evaluation.nll)),
                ("ECE", format!("{:.2} %", 100.0 * only.evaluation.ece)),
            ]);
        }
        let mut head = vec!["measure".to_string()];
        head.extend(self.networks.iter().map(|network| network.name.clone()));
        head.push("what it says".into());
        let mut table = Table::new(head);
        for measure in readings::MEASURES {
            let values: Vec<_> = self.networks.iter().map(measure.of).collect();
            if values.iter().all(Option::is_none) {
                continue;
            }
            let mut row = vec![measure.name.to_string()];
            row.extend(
                values
                    .iter()
                    .map(|value| value.map_or("–".into(), measure.write)),
            );
            row.push(measure.meaning.to_string());
            table = table.row(row);
        }
        section.table(table)
    }

    fn accuracy(&self) -> Result<Section, TrainError> {
        let mut section = Section::new("What is right, and what is taken for what");
        for network in &self.networks {
            section = section.paragraph(readings::accuracy(network, &self.classes));
        }
        for network in &self.networks {
            section = with(section, self.confusion(network)?);
        }
        let tables = self.networks.iter().map(|network| self.by_class(network));
        Ok(tables.fold(section, Section::table))
    }

    /// Each class of a network, the hardest first; with many classes only those.
    fn by_class(&self, network: &NetworkDiagnosis) -> Table {
        const MOST: usize = 20;
        let scores = network.evaluation.confusion.per_class();
        let present = |class: &usize| scores[*class].support > 0;
        let mut order: Vec<usize> = (0..scores.len()).filter(present).collect();
        order.sort_by(|&a, &b| scores[a].f1.total_cmp(&scores[b].f1));
        order.truncate(MOST);
        let head = Table::new(["class", "precision", "recall", "F1", "images"]);
        let table = order.iter().fold(head, |table, &class| {
            let found = scores[class];
            let mut row = vec![self.classes[class].clone()];
            row.extend([found.precision, found.recall, found.f1].map(|s| format!("{s:.3}")));
            row.push(found.support.to_string());
            table.row(row)
        });
        let which = match scores.len() {
            all if all > MOST => format!("the {MOST} hardest of {all} classes"),
            _ => "the classes, the hardest first".into(),
        };
        table.caption(format!("{}: {which}.", network.name))
    }

    fn calibration(&self) -> Result<Section, TrainError> {
        let mut section = Section::new("Does it know how often it is right?");
        for network in &self.networks {
            section = section.paragraph(readings::calibration(network));
        }
        for network in &self.networks {
            section = with(section, reliability(network)?);
        }
        Ok(section)
    }

    fn people(&self) -> Result<Option<Section>, TrainError> {
        let Some(people) = self.human_confidence()? else {
            return Ok(None);
        };
        let mut section = Section::new("Does it see what people see?");
        for network in &self.networks {
            if let Some(text) = readings::people(network, &self.classes) {
                section = section.paragraph(text);
            }
        }
        section = with(section, people);
        for network in &self.networks {
            section = with(section, self.confidence(network)?);
        }
        for network in &self.networks {
            if let Some(figure) = self.kl_confusion(network)? {
                section = with(section, figure);
            }
        }
        if let Some(figure) = self.human_by_class()? {
            section = with(section, figure);
        }
        Ok(Some(section))
    }

    /// Nothing if no network has embeddings, or a reason why they are not shown.
    fn structure(&self) -> Result<Option<Section>, TrainError> {
        let texts: Vec<String> = self
            .networks
            .iter()
            .flat_map(|network| {
                let missing = readings::no_pictures(network);
                readings::structure(network, &self.classes)
                    .into_iter()
                    .chain(missing)
            })
            .collect();
        if texts.is_empty() {
            return Ok(None);
        }
        let section = Section::new("How its classes lie");
        let mut section = texts.into_iter().fold(section, Section::paragraph);
        for network in &self.networks {
            for figure in self.pictures(network)? {
                section = with(section, figure);
            }
        }
        for network in &self.networks {
            if let Some(figure) = self.adhesion(network)? {
                section = with(section, figure);
            }
        }
        Ok(Some(section))
    }

    fn mixes(&self, mixes: &MixDiagnosis) -> Result<Vec<Section>, TrainError> {
        let mut sections = Vec::new();
        if let Some(picks) = &mixes.picks {
            let section = Section::new("Which mixed images would be picked?");
            sections.push(with(
                section.paragraph(readings::picks(picks)),
                overlap(picks)?,
            ));
        }
        let labels = &mixes.labels;
        let text = format!(
            "On {:.1} % of {} mixed images the teacher's first class is not the larger part of the label, on {:.1} % it is neither of the \
             two. Below are those that it contradicts most firmly: the image, the other one, and the mix.",
            100.0 * labels.disagree,
            labels.rows,
            100.0 * labels.outside
        );
        let mut section = Section::new("Where label and teacher disagree").paragraph(text);
        if !mixes.disagreements.is_empty() {
            let captions: Vec<String> = mixes
                .disagreements
                .iter()
                .map(|found| self.caption(found))
                .collect();
            let rows: Vec<(&str, Vec<&[u8]>)> = captions
                .iter()
                .zip(&mixes.disagreements)
                .map(|(caption, found)| {
                    (
                        caption.as_str(),
                        found.images.iter().map(Vec::as_slice).collect(),
                    )
                })
                .collect();
            let [_, height, _] = mixes.shape;
            let scale = (96 / height.max(1)).max(1);
            section = section.contact_sheet(
                &rows,
                mixes.shape,
                scale,
                "Label, and the teacher's answer.",
            )?;
        }
        sections.push(section);
        Ok(sections)
    }

    fn caption(&self, found: &Disagreement) -> String {
        let list = |classes: &[(usize, f32)]| {
            // What rounds to nothing says nothing.
            let parts = classes.iter().filter(|(_, share)| *share >= 0.005);
            let parts = parts.map(|(class, share)| format!("{} {share:.2}", self.classes[*class]));
            parts.collect::<Vec<_>>().join(", ")
        };
        format!(
            "label: {}; teacher: {}",
            list(&found.label),
            list(&found.answer)
        )
    }
}

fn with(section: Section, figure: Figure) -> Section {
    section.svg(figure.svg, figure.caption)
}
