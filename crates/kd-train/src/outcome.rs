use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;

use kd_metrics::EvaluationReport;

use crate::log::EpochRecord;

/// What a run gives back.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome<S> {
    /// The student after the last epoch, without autodiff.
    pub student: S,
    pub(crate) peers: Vec<Box<dyn Any + Send>>,
    pub(crate) parts: BTreeMap<String, Box<dyn Any + Send>>,
    /// The moving average of the student, if the recipe has one.
    pub average: Option<S>,
    /// That average on the test set.
    pub average_evaluation: Option<EvaluationReport>,
    /// Every peer on the test set, where there are several: each head of the student, then of each
    /// network that was trained with it.
    pub peer_evaluations: Vec<EvaluationReport>,
    /// Every epoch, those before an interruption included.
    pub history: Vec<EpochRecord>,
    /// The student on the test set, after the last epoch.
    pub evaluation: Option<EvaluationReport>,
    /// Seconds of training in this process, evaluations not counted.
    pub seconds: f64,
    /// The page to look at, where the run has a folder.
    pub report: Option<PathBuf>,
}

impl Outcome<Box<dyn Any + Send>> {
    /// The outcome with the student in its own type.
    pub(crate) fn of<S: 'static>(self) -> Outcome<S> {
        let typed = |network: Box<dyn Any + Send>| match network.downcast::<S>() {
            Ok(network) => *network,
            Err(_) => unreachable!("the run was given this type"),
        };
        Outcome {
            student: typed(self.student),
            average: self.average.map(typed),
            average_evaluation: self.average_evaluation,
            peers: self.peers,
            parts: self.parts,
            peer_evaluations: self.peer_evaluations,
            history: self.history,
            evaluation: self.evaluation,
            seconds: self.seconds,
            report: self.report,
        }
    }
}

impl<S> Outcome<S> {
    /// Returns a network that was trained with the student, in its own type and without autodiff:
    /// number 0 is the first that [`Distiller::with_peer`](crate::Distiller::with_peer) was given. `None` if there is no such
    /// network, or it is of another type.
    pub fn peer<M: 'static>(&self, number: usize) -> Option<&M> {
        self.peers.get(number)?.downcast_ref()
    }

    /// Returns the layers and memories of a term, in the type of its
    /// [`Parts`](crate::Term::Parts) and without autodiff. `None` if the recipe has no such term,
    /// or its parts are of another type.
    pub fn parts<P: 'static>(&self, term: &str) -> Option<&P> {
        self.parts.get(term)?.downcast_ref()
    }
}
