//! What numbers say, in plain words.

use super::{Diagnosis, NetworkDiagnosis, PickOverlap};

/// A measure of every network: how it is called, what it is of one, how it is written, and what it means.
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) of: fn(&NetworkDiagnosis) -> Option<f64>,
    pub(super) write: fn(f64) -> String,
    pub(super) meaning: &'static str,
}

fn percent(value: f64) -> String {
    format!("{:.2} %", 100.0 * value)
}

fn number(value: f64) -> String {
    format!("{value:.4}").replace('-', "−")
}

/// In the order of the page.
pub(super) const MEASURES: &[Measure] = &[
    Measure {
        name: "top-1",
        of: |n| Some(n.evaluation.top1),
        write: percent,
        meaning: "how often the first answer is right",
    },
    Measure {
        name: "top-5",
        of: |n| Some(n.evaluation.top5),
        write: percent,
        meaning: "how often the right answer is among the first five",
    },
    Measure {
        name: "precision, macro",
        of: |n| Some(n.evaluation.confusion.macro_average().precision),
        write: percent,
        meaning: "of what is called a class, how much is of it; mean over classes",
    },
    Measure {
        name: "recall, macro",
        of: |n| Some(n.evaluation.confusion.macro_average().recall),
        write: percent,
        meaning: "of a class, how much is called so; mean over classes",
    },
    Measure {
        name: "F1, macro",
        of: |n| Some(n.evaluation.confusion.macro_average().f1),
        write: percent,
        meaning: "harmonic mean of these two, mean over classes",
    },
    Measure {
        name: "NLL, nats",
        of: |n| Some(n.evaluation.nll),
        write: number,
        meaning: "how surprising the labels are to the network; the loss that distillation lowers",
    },
    Measure {
        name: "Brier",
        of: |n| Some(n.evaluation.brier),
        write: number,
        meaning: "squared distance of the probabilities from the labels, 0 to 2",
    },
    Measure {
        name: "confidence",
        of: |n| Some(n.evaluation.confidence),
        write: percent,
        meaning: "mean probability of the first answer; above top-1: too sure",
    },
    Measure {
        name: "entropy, nats",
        of: |n| Some(n.evaluation.entropy),
        write: number,
        meaning: "how undecided it is about one image: what a student can learn beside the label",
    },
    Measure {
        name: "ECE",
        of: |n| Some(n.evaluation.ece),
        write: percent,
        meaning: "how far confidence is from accuracy, bins of equal width",
    },
    Measure {
        name: "ECE, equal mass",
        of: |n| Some(n.evaluation.ece_equal_mass),
        write: percent,
        meaning: "the same, bins of equally many images",
    },
    Measure {
        name: "MCE",
        of: |n| Some(n.evaluation.mce),
        write: percent,
        meaning: "the worst of these bins; noisy where a bin holds few images",
    },
    Measure {
        name: "classwise ECE",
        of: |n| Some(n.evaluation.classwise_ece),
        write: percent,
        meaning: "how far the probability of any class is from its frequency",
    },
    Measure {
        name: "temperature",
        of: |n| Some(n.temperature.fit.temperature),
        write: |t| format!("{t:.3}"),
        meaning: "what its logits are to be divided by; above 1: too sure",
    },
    Measure {
        name: "ECE at this temperature",
        of: |n| Some(n.temperature.ece_after),
        write: percent,
        meaning: "fitted on every other image of each class, measured on the rest",
    },
    Measure {
        name: "KL(people ‖ network), nats",
        of: |n| n.evaluation.kl_human,
        write: number,
        meaning: "how far it is from what people answer",
    },
    Measure {
        name: "KL(network ‖ people), nats",
        of: |n| n.evaluation.human.as_ref().map(|human| human.kl_model),
        write: number,
        meaning: "the other direction, with the human answers smoothed a little",
    },
    Measure {
        name: "S_f, nats",
        of: |n| Some(n.evaluation.separability),
        write: number,
        meaning: "how far apart the mean answers to two classes are; high: little is said of similarity",
    },
    Measure {
        name: "cohesion",
        of: |n| n.embedding.as_ref().map(|s| s.cohesion),
        write: number,
        meaning: "mean cosine of embeddings inside a class",
    },
    Measure {
        name: "adhesion",
        of: |n| n.embedding.as_ref().map(|s| s.adhesion),
        write: number,
        meaning: "mean cosine of embeddings between classes",
    },
    Measure {
        name: "discrimination D",
        of: |n| n.embedding.as_ref().map(|s| s.discrimination),
        write: number,
        meaning: "their difference over the root of the dimensions",
    },
    Measure {
        name: "cohesion of logits",
        of: |n| n.logits.as_ref().map(|s| s.cohesion),
        write: number,
        meaning: "the same of the logits, which the published values agree with",
    },
    Measure {
        name: "adhesion of logits",
        of: |n| n.logits.as_ref().map(|s| s.adhesion),
        write: number,
        meaning: "between classes",
    },
    Measure {
        name: "D of logits",
        of: |n| n.logits.as_ref().map(|s| s.discrimination),
        write: number,
        meaning: "published for ResNet-18 on CIFAR-10: 0.246 plain, 0.306 trained with CutMix",
    },
];

/// Right and wrong, and what is confused with what.
pub(super) fn accuracy(network: &NetworkDiagnosis, classes: &[String]) -> String {
    let found = &network.evaluation;
    let scores = found.confusion.per_class();
    let present = || {
        scores
            .iter()
            .zip(classes)
            .filter(|(scores, _)| scores.support > 0)
    };
    let by_f1 = |a: &(&kd_metrics::ClassScores, &String),
                 b: &(&kd_metrics::ClassScores, &String)| {
        a.0.f1.total_cmp(&b.0.f1)
    };
    let mut text = format!("{} is right on {}", network.name, percent(found.top1));
    if let (Some(worst), Some(best)) = (present().min_by(by_f1), present().max_by(by_f1)) {
        text += &format!(
            "; it knows {} best (F1 {:.3}) and {} least (F1 {:.3})",
            best.1, best.0.f1, worst.1, worst.0.f1
        );
    }
    let confused = found.confusion.most_confused(1);
    if let Some(&(label, predicted, count)) = confused.first() {
        text += &format!(
            ", and most often takes {} for {} ({count} times)",
            classes[label], classes[predicted]
        );
    }
    text + "."
}

/// Whether it knows what it knows.
pub(super) fn calibration(network: &NetworkDiagnosis) -> String {
    let (found, temperature) = (&network.evaluation, &network.temperature);
    let gap = found.confidence - found.top1;
    let how = match gap {
        gap if gap > 0.005 => "is too sure of itself",
        gap if gap < -0.005 => "is less sure than it could be",
        _ => "is about as sure as it is right",
    };
    let fix = if temperature.fit.at_limit {
        "no temperature between 0.01 and 100 is best for it".to_string()
    } else {
        format!(
            "dividing its logits by {:.2} would bring the error from {} to {} on images that this number was not fitted on",
            temperature.fit.temperature,
            percent(temperature.ece_before),
            percent(temperature.ece_after)
        )
    };
    format!(
        "{} {how}: mean confidence {} against {} right, a calibration error of {}; {fix}.",
        network.name,
        percent(found.confidence),
        percent(found.top1),
        percent(found.ece)
    )
}

/// How it goes together with people.
pub(super) fn people(network: &NetworkDiagnosis, classes: &[String]) -> Option<String> {
    let human = network.evaluation.human.as_ref()?;
    let named = human.per_class.iter().zip(classes);
    let furthest = named
        .filter_map(|(kl, name)| Some(((*kl)?, name)))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!(
        "{} is {:.3} nats from people on average, where people among themselves have an entropy of {:.3}; furthest on {} ({:.3}).",
        network.name, human.kl, human.entropy, furthest.1, furthest.0
    ))
}

/// How classes lie to one another.
pub(super) fn structure(network: &NetworkDiagnosis, classes: &[String]) -> Option<String> {
    let found = network.embedding.as_ref()?;
    let pairs = found.between.iter().enumerate().flat_map(|(a, row)| {
        row.iter()
            .enumerate()
            .filter_map(move |(b, cosine)| Some(((*cosine)?, a, b)))
    });
    let closest = pairs.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let loosest = found
        .per_class
        .iter()
        .enumerate()
        .filter_map(|(class, cohesion)| Some(((*cohesion)?, class)))
        .min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!(
        "{}: the mean cosine of two embeddings is {} inside a class and {} between classes; {} and {} are closest ({}), {} is loosest ({}). \
         A good teacher is loose inside its classes and yet keeps them apart.",
        network.name,
        number(found.cohesion),
        number(found.adhesion),
        classes[closest.1],
        classes[closest.2],
        number(closest.0),
        classes[loosest.1],
        number(loosest.0)
    ))
}

/// Why its embeddings are not drawn.
pub(super) fn no_pictures(network: &NetworkDiagnosis) -> Option<String> {
    let reason = network.no_layout.as_ref()?;
    Some(format!(
        "There is no picture of the embeddings of {}, because {reason}.",
        network.name
    ))
}

/// What picking would change.
pub(super) fn picks(found: &PickOverlap) -> String {
    let value = match found.kl_ratio {
        ratio if ratio < 1.1 => "there is little to choose from: any mix is worth about the same",
        ratio if ratio < 1.3 => "picking finds somewhat more to learn",
        _ => "picking finds clearly more to learn",
    };
    format!(
        "Picked by the divergence of the student from the teacher, a mixed image holds {:.2} times as much of it as the average one (the \
         ratio r): {value}. Of what that picks, the teacher's entropy picks {:.0} % too and the student's {:.0} %, where chance \
         has {:.0} %.",
        found.kl_ratio,
        100.0 * found.overlap[0][1],
        100.0 * found.overlap[0][2],
        100.0 * found.by_chance
    )
}

/// The first thing to say.
pub(super) fn lead(diagnosis: &Diagnosis) -> String {
    let Some(first) = diagnosis.networks.first() else {
        return String::new();
    };
    let count = first.evaluation.samples;
    let mut text = format!("Measured on {count} test images of {}.", diagnosis.data);
    let best = |of: fn(&NetworkDiagnosis) -> f64| {
        diagnosis
            .networks
            .iter()
            .min_by(|a, b| of(a).total_cmp(&of(b)))
    };
    if diagnosis.networks.len() > 1
        && let (Some(accurate), Some(calibrated)) =
            (best(|n| -n.evaluation.top1), best(|n| n.evaluation.ece))
    {
        text += &match accurate.name == calibrated.name {
            true => format!(
                " {} is right most often and knows best how often.",
                accurate.name
            ),
            false => format!(
                " {} is right most often, {} knows best how often it is right.",
                accurate.name, calibrated.name
            ),
        };
    }
    text
}
