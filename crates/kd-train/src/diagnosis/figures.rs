//! Every picture of a diagnosis, by name.

use kd_metrics::MeanRows;
use kd_metrics::plot::{ScatterChart, bar_with_interval, heatmap, reliability_diagram};

use super::{Diagnosis, Layout, LossRelation, NetworkDiagnosis, PickOverlap};
use crate::TrainError;

/// A picture, as a page shows it and as a file is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Unique within a diagnosis; letters, digits, `-` and `_`.
    pub name: String,
    /// The picture.
    pub svg: String,
    /// What is to be seen.
    pub caption: String,
}

/// A name as a file may have it.
fn file_name(parts: &[&str]) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    parts.join("-").chars().map(plain).collect()
}

/// The diagonal left out, so that the scale is that of the mistakes.
fn masked(cells: impl Iterator<Item = Vec<Option<f64>>>) -> Vec<Vec<Option<f64>>> {
    let mut cells: Vec<_> = cells.collect();
    for (index, row) in cells.iter_mut().enumerate() {
        if let Some(cell) = row.get_mut(index) {
            *cell = None;
        }
    }
    cells
}

fn means(rows: &MeanRows) -> impl Iterator<Item = Vec<Option<f64>>> + '_ {
    let classes = rows.len();
    rows.iter().map(move |row| match row {
        Some(row) => row.iter().map(|&p| Some(p)).collect(),
        None => vec![None; classes],
    })
}

impl Diagnosis {
    /// Every picture, for files of their own; a page shows the same ones.
    ///
    /// # Errors
    ///
    /// [`TrainError::Metric`] when one cannot be drawn, or a part is of another number of classes than there are names.
    pub fn figures(&self) -> Result<Vec<Figure>, TrainError> {
        self.check()?;
        let mut figures = Vec::new();
        for network in &self.networks {
            figures.push(self.confusion(network)?);
            figures.push(reliability(network)?);
            figures.push(self.confidence(network)?);
            figures.extend(self.kl_confusion(network)?);
            figures.extend(self.adhesion(network)?);
            figures.extend(self.pictures(network)?);
        }
        figures.extend(self.human_confidence()?);
        figures.extend(self.human_by_class()?);
        if let Some(picks) = self.mixes.as_ref().and_then(|mixes| mixes.picks.as_ref()) {
            figures.push(overlap(picks)?);
        }
        if let Some(relation) = &self.relation {
            figures.push(relation.figure()?);
        }
        // Networks may have names that are the same in plain letters.
        for index in 1..figures.len() {
            let taken = |name: &str| {
                figures[..index]
                    .iter()
                    .any(|other: &Figure| other.name == name)
            };
            let own = figures[index].name.clone();
            if taken(&own) {
                let free = (2..)
                    .map(|number| format!("{own}-{number}"))
                    .find(|name| !taken(name));
                figures[index].name = free.unwrap_or(own);
            }
        }
        Ok(figures)
    }

    pub(super) fn confusion(&self, network: &NetworkDiagnosis) -> Result<Figure, TrainError> {
        let rows = network.evaluation.confusion.rows();
        let cells = rows.map(|row| row.iter().map(|&n| Some(n as f64)).collect());
        let title = format!("{}: mistakes", network.name);
        Ok(Figure {
            name: file_name(&[&network.name, "confusion"]),
            svg: heatmap(
                &title,
                ["true class", "predicted class"],
                &self.classes,
                &masked(cells),
            )?,
            caption: "Samples by true and predicted class; what is right is left out.".into(),
        })
    }

    pub(super) fn confidence(&self, network: &NetworkDiagnosis) -> Result<Figure, TrainError> {
        let cells = masked(means(&network.evaluation.class_means));
        let title = format!("{}: mean probabilities", network.name);
        Ok(Figure {
            name: file_name(&[&network.name, "confidence"]),
            svg: heatmap(&title, ["true class", "class that is given the probability"], &self.classes, &cells)?,
            caption: "What the network gives to the other classes: its dark knowledge. The diagonal is left out.".into(),
        })
    }

    pub(super) fn human_confidence(&self) -> Result<Option<Figure>, TrainError> {
        let human = self
            .networks
            .iter()
            .find_map(|network| network.evaluation.human.as_ref());
        let Some(human) = human else {
            return Ok(None);
        };
        let cells = masked(means(&human.confidence));
        Ok(Some(Figure {
            name: "human-confidence".into(),
            svg: heatmap(
                "People: mean answers",
                ["true class", "class that is named"],
                &self.classes,
                &cells,
            )?,
            caption: "What people take for what. The diagonal is left out.".into(),
        }))
    }

    pub(super) fn kl_confusion(
        &self,
        network: &NetworkDiagnosis,
    ) -> Result<Option<Figure>, TrainError> {
        let Some(human) = &network.evaluation.human else {
            return Ok(None);
        };
        let title = format!("KL(people || {}), nats", network.name);
        Ok(Some(Figure {
            name: file_name(&[&network.name, "kl-confusion"]),
            svg: heatmap(&title, ["class that people see", "class that the network sees"], &self.classes, &human.kl_confusion)?,
            caption: "From the mean human answer on one class to the network's mean answer on another. Pale beside the diagonal: two \
                      classes that the network holds close where people do."
                .into(),
        }))
    }

    /// How far the first network is from people, class by class.
    pub(super) fn human_by_class(&self) -> Result<Option<Figure>, TrainError> {
        const MOST: usize = 20;
        let Some(network) = self.networks.first() else {
            return Ok(None);
        };
        let Some(human) = &network.evaluation.human else {
            return Ok(None);
        };
        let mut rows: Vec<(&str, f64)> = human
            .per_class
            .iter()
            .zip(&self.classes)
            .filter_map(|(kl, name)| Some((name.as_str(), (*kl)?)))
            .collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        rows.truncate(MOST);
        let bars: Vec<_> = rows
            .into_iter()
            .map(|(name, kl)| (name, kl, None))
            .collect();
        let title = format!("{}: KL(people || network) by class", network.name);
        Ok(Some(Figure {
            name: file_name(&[&network.name, "human-by-class"]),
            svg: bar_with_interval(&title, "nats, mean over the images of the class", &bars)?,
            caption: "Where the network is furthest from what people answer.".into(),
        }))
    }

    pub(super) fn adhesion(
        &self,
        network: &NetworkDiagnosis,
    ) -> Result<Option<Figure>, TrainError> {
        let Some(structure) = &network.embedding else {
            return Ok(None);
        };
        // A colour has no sign: what is not alike stays empty.
        let positive =
            |row: &Vec<Option<f64>>| row.iter().map(|s| s.filter(|s| *s > 0.0)).collect();
        let cells: Vec<_> = structure.between.iter().map(positive).collect();
        let title = format!("{}: adhesion of classes", network.name);
        Ok(Some(Figure {
            name: file_name(&[&network.name, "adhesion"]),
            svg: heatmap(&title, ["class", "class"], &self.classes, &cells)?,
            caption: "Mean cosine between the embeddings of two classes, where it is positive: dark pairs lie close.".into(),
        }))
    }

    pub(super) fn pictures(&self, network: &NetworkDiagnosis) -> Result<Vec<Figure>, TrainError> {
        let Some(layout) = &network.layout else {
            return Ok(Vec::new());
        };
        let share = 100.0 * layout.pca_share.iter().sum::<f64>();
        let tsne = ScatterChart::without_axes(format!("{}: embeddings, t-SNE", network.name));
        let pca = ScatterChart::without_axes(format!("{}: embeddings, PCA", network.name));
        Ok(vec![
            Figure {
                name: file_name(&[&network.name, "tsne"]),
                svg: self.grouped(tsne, layout, &layout.tsne).render()?,
                caption: format!(
                    "{} test images of {}. Neighbours are neighbours; distances between far groups, and axes, mean nothing.",
                    layout.labels.len(),
                    match self.classes.len() {
                        all if all > Layout::CLASSES =>
                            format!("the first {} classes of {all}", Layout::CLASSES),
                        all => format!("{all} classes"),
                    }
                ),
            },
            Figure {
                name: file_name(&[&network.name, "pca"]),
                svg: self.grouped(pca, layout, &layout.pca).render()?,
                caption: format!("The two directions of largest variance, {share:.0} % of it."),
            },
        ])
    }

    fn grouped(&self, chart: ScatterChart, layout: &Layout, points: &[(f64, f64)]) -> ScatterChart {
        let classes = self.classes.iter().enumerate().take(Layout::CLASSES);
        classes.fold(chart, |chart, (class, name)| {
            let own = layout
                .labels
                .iter()
                .zip(points)
                .filter(|(label, _)| **label == class);
            chart.group(name.clone(), own.map(|(_, point)| *point).collect())
        })
    }
}

pub(super) fn reliability(network: &NetworkDiagnosis) -> Result<Figure, TrainError> {
    let found = &network.evaluation;
    Ok(Figure {
        name: file_name(&[&network.name, "reliability"]),
        svg: reliability_diagram(&found.calibration_bins, found.ece)?,
        caption: format!(
            "{}: accuracy where it was so sure. Bars below the diagonal: too sure of itself.",
            network.name
        ),
    })
}

pub(super) fn overlap(picks: &PickOverlap) -> Result<Figure, TrainError> {
    let cells = picks.overlap.iter();
    let cells = masked(cells.map(|row| row.iter().map(|&share| Some(share)).collect()));
    Ok(Figure {
        name: "pick-overlap".into(),
        svg: heatmap(
            "Picked in common",
            ["picked by", "picked by"],
            &picks.criteria,
            &cells,
        )?,
        caption: format!(
            "The share of one pick that another one holds as well; two picks by chance share {:.2}. KL: of the student from the teacher; T., S. \
             entropy: of the teacher's and the student's answer.",
            picks.by_chance
        ),
    })
}

impl LossRelation {
    /// The points, the line through them, and the coefficients.
    ///
    /// # Errors
    ///
    /// [`TrainError::Metric`] when it cannot be drawn.
    pub fn figure(&self) -> Result<Figure, TrainError> {
        let chart = ScatterChart::new(
            "T. stddev and the student",
            "T. stddev of the teacher",
            "test loss of the student",
        );
        let chart = match &self.relation {
            Some(found) => chart
                .note(coefficient("Pearson", found.pearson))
                .note(coefficient("Spearman", found.spearman))
                .note(coefficient("Kendall", found.kendall))
                .line(found.slope, found.intercept),
            None => chart.note("no line: all values of one of the two are equal"),
        };
        let points = self.points.iter();
        let chart = points.fold(chart, |chart, (name, x, y)| {
            chart.named(name.clone(), (*x, *y))
        });
        Ok(Figure {
            name: "relation".into(),
            svg: chart.render()?,
            caption:
                "Each point is an augmentation. On the line: what the teacher alone foretells."
                    .into(),
        })
    }
}

fn coefficient(name: &str, found: kd_metrics::Correlation) -> String {
    let p = match found.p {
        p if p < 0.001 => "p < 0.001".into(),
        p => format!("p = {p:.3}"),
    };
    format!("{name} {:.3}, {p}", found.value).replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_plain_names() {
        assert_eq!(file_name(&["resnet/20 (a)", "tsne"]), "resnet-20--a--tsne");
    }
}
