use burn::config::Config;
use burn::tensor::Tensor;

use crate::divergence::{assert_same_shape, constant_like, widen};
use crate::error::{CoreError, check_weight};
use crate::features::maps::{Maps, pool};
use crate::math::{LEAST, assert_same_batch, mean_square, squared_distances};

/// Configuration of [`IrgLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct IrgLossConfig {
    /// Weight of the vertices, in [0, inf).
    #[config(default = 0.1)]
    pub vertex: f64,
    /// Weight of the edges, in [0, inf).
    #[config(default = 5.0)]
    pub edge: f64,
    /// Weight of the transformations between stages, in [0, inf).
    #[config(default = 5.0)]
    pub transformation: f64,
}

impl IrgLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if a weight is negative or not finite.
    pub fn init(&self) -> Result<IrgLoss, CoreError> {
        Ok(IrgLoss {
            vertex: check_weight("vertex", self.vertex)?,
            edge: check_weight("edge", self.edge)?,
            transformation: check_weight("transformation", self.transformation)?,
        })
    }
}

/// What [`IrgLoss`] asks of one network.
#[derive(Debug, Clone)]
pub struct Graph {
    /// The map of an earlier stage: `[batch, channels, height, width]`.
    pub lower: Tensor<4>,
    /// The map of a later stage, of the same channels or a multiple, not larger: `[batch, channels', height', width']`.
    pub upper: Tensor<4>,
    /// What the classifying layer reads: `[batch, features]`.
    pub embedding: Tensor<2>,
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
}

/// Instance relationship graph: `vertex L_v + edge L_e + transformation L_t`.
///
/// - `L_v`: mean squared difference of the logits;
/// - `L_e`: mean squared difference of the matrices of squared distances between samples, each divided by its largest element; the mean
///   over embedding, lower and upper map;
/// - `L_t`: mean squared difference of how far each sample moves from the lower to the upper map (squared, divided by the largest of the
///   batch); the lower map is averaged to the upper's size, and channels of the upper in groups to the lower's number.
///
/// From Liu et al., "Knowledge Distillation via Instance Relationship Graph" (CVPR 2019), Eq. 3-8, with the weights and the scaling of
/// the public PyTorch code. In a batch of one all distances are 0.
///
/// Made by [`IrgLossConfig`]. What is the teacher's is a constant; see [`constant_like`]. The loss is of pairs: no value per sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IrgLoss {
    vertex: f64,
    edge: f64,
    transformation: f64,
}

/// The three parts of [`IrgLoss`], `[1]` each, without their weights.
#[derive(Debug, Clone)]
pub struct IrgTerms {
    /// Of the vertices.
    pub vertex: Tensor<1>,
    /// Of the edges.
    pub edge: Tensor<1>,
    /// Of the transformations.
    pub transformation: Tensor<1>,
}

impl IrgLoss {
    /// The weighted sum: `[1]`.
    pub fn forward(&self, student: Graph, teacher: Graph) -> Tensor<1> {
        let terms = self.terms(student, teacher);
        terms.vertex.mul_scalar(self.vertex)
            + terms.edge.mul_scalar(self.edge)
            + terms.transformation.mul_scalar(self.transformation)
    }

    /// The parts apart.
    pub fn terms(&self, student: Graph, teacher: Graph) -> IrgTerms {
        let student = Graph {
            lower: widen(student.lower),
            upper: widen(student.upper),
            embedding: widen(student.embedding),
            logits: widen(student.logits),
        };
        let teacher = Graph {
            lower: constant_like(teacher.lower, &student.lower),
            upper: constant_like(teacher.upper, &student.upper),
            embedding: constant_like(teacher.embedding, &student.embedding),
            logits: constant_like(teacher.logits, &student.logits),
        };
        assert_same_shape("teacher logits", &teacher.logits, &student.logits);
        assert_same_batch(&student.embedding, &teacher.embedding);
        for graph in [&student, &teacher] {
            let batch = graph.logits.dims()[0];
            let same = graph.lower.dims()[0] == batch
                && graph.upper.dims()[0] == batch
                && graph.embedding.dims()[0] == batch;
            assert!(same, "maps, embedding and logits must be of the same batch");
        }
        let edges = |graph: &Graph| {
            [
                edges(graph.embedding.clone()),
                edges(Maps::new(graph.lower.clone()).flat()),
                edges(Maps::new(graph.upper.clone()).flat()),
            ]
        };
        let [a, b, c] = edges(&student);
        let [d, e, f] = edges(&teacher);
        let edge = mean_square(a - d) + mean_square(b - e) + mean_square(c - f);
        IrgTerms {
            vertex: mean_square(student.logits - teacher.logits),
            edge: edge.mul_scalar(1.0 / 3.0),
            transformation: mean_square(
                movement(student.lower, student.upper) - movement(teacher.lower, teacher.upper),
            ),
        }
    }
}

/// Squared distances between samples, the largest 1: `[batch, batch]`.
fn edges(x: Tensor<2>) -> Tensor<2> {
    by_the_largest(squared_distances(x))
}

/// How far each sample moves from one map to the next, squared, the largest 1: `[batch, 1]`.
fn movement(lower: Tensor<4>, upper: Tensor<4>) -> Tensor<2> {
    let [_, channels, ..] = lower.dims();
    let [_, upper_channels, height, width] = upper.dims();
    assert!(
        upper_channels.is_multiple_of(channels),
        "the upper map has {upper_channels} channels, the lower {channels}: expected a multiple"
    );
    let lower = Maps::new(pool(lower, [height, width]));
    let upper = Maps::new(upper).mean_groups(upper_channels / channels);
    let squared = lower
        .ordered_as(&upper)
        .minus(upper)
        .flat()
        .square()
        .sum_dim(1);
    let least = squared.clone().lower_elem(LEAST);
    by_the_largest(squared.mask_fill(least, LEAST))
}

/// Divided by the largest element; zeros stay.
fn by_the_largest(x: Tensor<2>) -> Tensor<2> {
    let largest = x.clone().max_dim(1).max_dim(0);
    let none = largest.clone().equal_elem(0.0);
    x / largest.mask_fill(none, 1.0)
}
