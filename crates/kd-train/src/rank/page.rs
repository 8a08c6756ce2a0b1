//! A ranking as sections of a page.

use kd_augment::ParamSharing;
use kd_metrics::plot::{LineChart, bar_with_interval};
use kd_metrics::report::Table;
use kd_metrics::{Report, Section};

use super::report::{RankReport, RankRow, Stability, WITHOUT_STUDENT, sharing_name};
use crate::TrainError;
use crate::progress::duration;

impl RankReport {
    /// A self-contained page with the ranking.
    ///
    /// # Errors
    ///
    /// [`TrainError::Metric`] when a figure cannot be drawn.
    pub fn page(&self, title: &str) -> Result<String, TrainError> {
        let lead = "How much the mean answer of the teacher varies from draw to draw of an augmentation. The lower, the \
                    better the augmentation is expected to be for distillation; where two intervals overlap, their order \
                    says little.";
        let report = Report::new(title).lead(lead);
        let sections = self.sections()?.into_iter();
        Ok(sections.fold(report, Report::section).render())
    }

    /// The sections of that page, for a page of your own.
    ///
    /// # Errors
    ///
    /// [`TrainError::Metric`] when a figure cannot be drawn.
    pub fn sections(&self) -> Result<Vec<Section>, TrainError> {
        let mut sharings: Vec<_> = self.rows.iter().map(|row| row.sharing).collect();
        sharings.dedup();
        let mut sections = Vec::new();
        for sharing in sharings {
            sections.push(self.of_sharing(sharing)?);
        }
        sections.extend(self.of_labels());
        sections.extend(self.of_student());
        if !self.missing.is_empty() {
            let names = self.missing.join(", ");
            let missing = Section::new("Missing schemes");
            sections.push(missing.paragraph(format!("{names}: {WITHOUT_STUDENT}.")));
        }
        sections.push(Section::new("What the ranking took").numbers([
            (
                "images shown to the teacher",
                self.teacher_images.to_string(),
            ),
            ("time", duration(self.seconds)),
            ("of it in the teacher", duration(self.teacher_seconds)),
            (
                "images behind a mean",
                format!("{:.0}", self.images_per_mean),
            ),
        ]));
        Ok(sections)
    }

    fn of_sharing(&self, sharing: ParamSharing) -> Result<Section, TrainError> {
        let rows: Vec<&RankRow> = self
            .rows
            .iter()
            .filter(|row| row.sharing == sharing)
            .collect();
        let mut bars: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.scheme.as_str(),
                    row.result.value,
                    Some(row.result.interval),
                )
            })
            .collect();
        if let Some(baseline) = self.baseline {
            bars.push(("(drawing images alone)", baseline, None));
        }
        let stability = self.stability.iter().find(|found| found.sharing == sharing);
        let below = stability.map_or(&[][..], |found| &found.below_next);
        let table = Table::new([
            "scheme",
            "T. stddev",
            "low",
            "high",
            "below the next",
            "entropy",
            "covariance",
        ]);
        let table = rows.iter().enumerate().fold(table, |table, (index, row)| {
            table.row([
                row.scheme.clone(),
                format!("{:.6}", row.result.value),
                format!("{:.6}", row.result.interval.0),
                format!("{:.6}", row.result.interval.1),
                below
                    .get(index)
                    .map_or(String::new(), |share| format!("{:.0} %", 100.0 * share)),
                format!("{:.4}", row.entropy),
                scientific(row.covariance),
            ])
        });
        let table = table.caption(
            "Below the next: in how many of the bootstrap's resamples the scheme stays below the one after it. Entropy: of the \
             teacher's answer to one image, in nats. Covariance: of its answers to two images of one mean, averaged over the \
             classes; T. stddev stands in for it, because it is hard to estimate from so few draws.",
        );
        let what = match sharing {
            ParamSharing::Batch => {
                "One draw of the parameters for all images of a batch, as in the published values."
            }
            ParamSharing::PerSample => "Parameters drawn for each image, as in training.",
        };
        let means = rows.first().map_or(0, |row| row.result.means);
        let figure = bar_with_interval("T. stddev", "lower is better", &bars)?;
        let mut section = Section::new(format!(
            "T. stddev, parameters shared: {}",
            sharing_name(sharing)
        ))
        .paragraph(format!("{what} {}", self.reading(&rows, stability)))
        .svg(figure, format!("Bootstrap intervals over {means} means."));
        section = section.svg(
            convergence(&rows)?,
            "The value after the first means: where a curve is still moving, its place is not settled.",
        );
        if let Some(stability) = stability.filter(|found| !found.kendall.is_empty()) {
            let points = stability.kendall.iter().map(|&(m, tau)| (m as f64, tau));
            let chart = LineChart::new(
                "Stability of the order",
                "means",
                "Kendall's tau with the last order",
            )
            .series("", points.collect());
            section = section.svg(
                chart.render()?,
                "1: the order after so many means is the one after all of them.",
            );
        }
        Ok(section.table(table))
    }

    /// What the numbers say, in words.
    fn reading(&self, rows: &[&RankRow], stability: Option<&Stability>) -> String {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return String::new();
        };
        let mut text = format!(
            "Under {} the teacher's mean answer varies least ({:.5}), under {} most ({:.5}).",
            first.scheme, first.result.value, last.scheme, last.result.value
        );
        let sure = stability.and_then(|found| found.below_next.first());
        if let (Some(&share), Some(second)) = (sure, rows.get(1)) {
            let how = match share {
                share if share >= 0.95 => "clearly",
                share if share >= 0.8 => "probably",
                _ => "not reliably",
            };
            text += &format!(
                " {} is {how} below {} ({:.0} % of resamples).",
                first.scheme,
                second.scheme,
                100.0 * share
            );
        }
        if let Some(baseline) = self.baseline {
            text += &format!(
                " Drawing other images for each mean would alone give {baseline:.5}. A scheme is above it where it shifts the answers to a \
                 whole batch one way, and below it where each image is seen twice, differently, so that its answers even out."
            );
        }
        text
    }

    /// What the teacher says of mixed labels.
    fn of_labels(&self) -> Option<Section> {
        let table = Table::new(["scheme", "sharing", "disagree", "neither class", "KL, nats"]);
        let rows: Vec<_> = self
            .rows
            .iter()
            .filter_map(|row| Some((row, row.labels?)))
            .collect();
        let (worst, most) = rows
            .iter()
            .max_by(|a, b| a.1.disagree.total_cmp(&b.1.disagree))
            .map(|(row, labels)| (&row.scheme, labels.disagree))?;
        let table = rows.iter().fold(table, |table, (row, labels)| {
            table.row([
                row.scheme.clone(),
                sharing_name(row.sharing).to_string(),
                format!("{:.1} %", 100.0 * labels.disagree),
                format!("{:.1} %", 100.0 * labels.outside),
                format!("{:.3}", labels.kl),
            ])
        });
        let text = format!(
            "On {:.0} % of the images of {worst} the teacher's first class is not the one that has most of the mixed label. \
             Cross-entropy with such labels teaches the student what is not to be seen; with a teacher's answers they do no harm.",
            100.0 * most
        );
        Some(
            Section::new("Mixed labels against the teacher")
                .paragraph(text)
                .table(table),
        )
    }

    /// What needs a student.
    fn of_student(&self) -> Option<Section> {
        let rows: Vec<_> = self
            .rows
            .iter()
            .filter_map(|row| Some((row, row.cross_entropy?)))
            .collect();
        let first = rows
            .iter()
            .min_by(|a, b| a.1.variance_of_mean.total_cmp(&b.1.variance_of_mean))?;
        let text = format!(
            "T. stddev looks at the teacher alone. With this student, what it stands in for can be measured: the teacher–student \
             cross-entropy, whose mean over a draw should vary little. It varies least under {}. Where both networks are sure of the \
             training images, as under identity and flip, it is small for that reason alone.",
            first.0.scheme
        );
        let head = Table::new([
            "scheme",
            "sharing",
            "mean, nats",
            "variance",
            "variance of the mean",
            "covariance",
        ]);
        let table = rows.iter().fold(head, |table, (row, found)| {
            table.row([
                row.scheme.clone(),
                sharing_name(row.sharing).to_string(),
                format!("{:.4}", found.mean),
                format!("{:.4}", found.variance),
                scientific(Some(found.variance_of_mean)),
                scientific(found.covariance),
            ])
        });
        Some(
            Section::new("Teacher–student cross-entropy")
                .paragraph(text)
                .table(table),
        )
    }
}

fn scientific(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| {
        format!("{value:.2e}").replace('-', "−")
    })
}

/// The first schemes and the last, since more curves than colours are no figure.
fn convergence(rows: &[&RankRow]) -> Result<String, TrainError> {
    const MOST: usize = 6;
    let shown = rows.iter().enumerate().filter(|(index, _)| {
        rows.len() <= MOST || *index < MOST / 2 || index + MOST / 2 >= rows.len()
    });
    let chart = LineChart::new("Convergence", "means", "T. stddev");
    let chart = shown.fold(chart, |chart, (_, row)| {
        let points = row.convergence.iter().map(|&(m, value)| (m as f64, value));
        chart.series(row.scheme.clone(), points.collect())
    });
    Ok(chart.render()?)
}
