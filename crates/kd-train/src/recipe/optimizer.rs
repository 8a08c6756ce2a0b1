//! How parameters follow their gradients.

use burn::module::{ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdamConfig, AdamWConfig, LambConfig, LionConfig, ModuleOptimizer, RmsPropConfig,
    SgdConfig,
};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::modules::stand_ins;

/// How parameters follow their gradients. In TOML the method is the key `kind`:
///
/// ```
/// use kd_train::Recipe;
///
/// let recipe = Recipe::from_toml(r#"
///     optimizer = { kind = "adamw", learning_rate = 1e-3, clip = 1.0 }
///     schedule = { kind = "cosine", warmup = 0.05 }
/// "#)?;
/// assert_eq!(recipe.optimizer.weight_decay, 0.01);
/// # Ok::<(), kd_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
#[non_exhaustive]
pub struct OptimizerRecipe {
    /// The method. Default: stochastic gradient descent with momentum 0.9.
    pub method: Method,
    /// The learning rate before the schedule. Default: 0.05 for `sgd`, otherwise PyTorch's.
    pub learning_rate: f64,
    /// The share of itself that a parameter loses in a step, times the learning rate; at least 0.
    /// Default: 5e-4 for `sgd`, 0.01 for `adamw`, otherwise 0. Part of the gradient for `sgd`,
    /// `adam`, `rmsprop` and `adagrad`; apart from it for `adamw` and `lion`.
    pub weight_decay: f64,
    /// Which parameters decay.
    pub decay: Decay,
    /// Batches whose gradients are averaged for one step; at least 1. Default: 1.
    pub accumulate: usize,
    /// The largest norm of the gradient of all parameters together; a larger one is scaled down to
    /// it. Above 0. Default: any.
    pub clip: Option<f64>,
}

/// Which parameters decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decay {
    /// All of them, batch norm included, as in the experiments of the papers.
    #[default]
    All,
    /// Those of two dimensions or more: neither norms nor biases.
    Weights,
}

/// A method of following gradients, as PyTorch defines it. The formulae are Burn's; coefficients are
/// single precision.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// `sgd`: stochastic gradient descent without dampening,
    /// `v = momentum v + g; w -= lr (nesterov ? g + momentum v : v)`.
    Sgd {
        /// In `[0, 1)`.
        momentum: f64,
        /// Look ahead by one velocity.
        nesterov: bool,
    },
    /// `adam` (Kingma and Ba, 2015).
    Adam {
        /// Decay of the mean and of the mean square, each in `[0, 1)`. Default: 0.9 and 0.999.
        betas: [f64; 2],
        /// Added to the root of the mean square. Default: 1e-8.
        epsilon: f64,
    },
    /// `adamw`: Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019).
    AdamW {
        /// As of `adam`.
        betas: [f64; 2],
        /// As of `adam`.
        epsilon: f64,
    },
    /// `rmsprop` (Hinton, 2012).
    RmsProp {
        /// Decay of the mean square, in `[0, 1)`. Default: 0.99.
        alpha: f64,
        /// In `[0, 1)`. Default: 0.
        momentum: f64,
        /// Added to the root of the mean square. Default: 1e-8.
        epsilon: f64,
    },
    /// `adagrad` (Duchi et al., 2011).
    AdaGrad {
        /// Added to the root of the sum of squares. Default: 1e-10.
        epsilon: f64,
    },
    /// `lion` (Chen et al., 2023).
    Lion {
        /// Default: 0.9 and 0.99.
        betas: [f64; 2],
    },
    /// `lamb` (You et al., 2020).
    Lamb {
        /// As of `adam`.
        betas: [f64; 2],
        /// Added to the root of the mean square. Default: 1e-6.
        epsilon: f64,
    },
}

/// The names of the methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Sgd,
    Adam,
    AdamW,
    RmsProp,
    AdaGrad,
    Lion,
    Lamb,
}

/// The keys of all methods, as a recipe writes them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    kind: Kind,
    learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    betas: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epsilon: Option<f64>,
    weight_decay: Option<f64>,
    decay: Decay,
    accumulate: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<f64>,
}

/// The keys of [`Written`] that belong to a method: another method does not take them over.
pub(super) const OF_METHOD: [&str; 7] = [
    "momentum",
    "nesterov",
    "alpha",
    "betas",
    "epsilon",
    "learning_rate",
    "weight_decay",
];

impl TryFrom<Written> for OptimizerRecipe {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let mut rest = written;
        let adam = [0.9, 0.999];
        let mut betas = |default| rest.betas.take().unwrap_or(default);
        let mut epsilon = |default| rest.epsilon.take().unwrap_or(default);
        let mut momentum = |default| rest.momentum.take().unwrap_or(default);
        let method = match written.kind {
            Kind::Sgd => Method::Sgd {
                momentum: momentum(0.9),
                nesterov: rest.nesterov.take().unwrap_or(false),
            },
            Kind::Adam => Method::Adam {
                betas: betas(adam),
                epsilon: epsilon(1e-8),
            },
            Kind::AdamW => Method::AdamW {
                betas: betas(adam),
                epsilon: epsilon(1e-8),
            },
            Kind::RmsProp => Method::RmsProp {
                alpha: rest.alpha.take().unwrap_or(0.99),
                momentum: momentum(0.0),
                epsilon: epsilon(1e-8),
            },
            Kind::AdaGrad => Method::AdaGrad {
                epsilon: epsilon(1e-10),
            },
            Kind::Lion => Method::Lion {
                betas: betas([0.9, 0.99]),
            },
            Kind::Lamb => Method::Lamb {
                betas: betas(adam),
                epsilon: epsilon(1e-6),
            },
        };
        for (key, left) in [
            ("momentum", rest.momentum.is_some()),
            ("nesterov", rest.nesterov.is_some()),
            ("alpha", rest.alpha.is_some()),
            ("betas", rest.betas.is_some()),
            ("epsilon", rest.epsilon.is_some()),
        ] {
            if left {
                let kind = format!("{:?}", written.kind).to_lowercase();
                return Err(format!("`{kind}` has no key `{key}`"));
            }
        }
        let (learning_rate, weight_decay) = match method {
            Method::Sgd { .. } => (0.05, 5e-4),
            Method::AdamW { .. } => (1e-3, 0.01),
            Method::Adam { .. } | Method::Lamb { .. } => (1e-3, 0.0),
            Method::RmsProp { .. } | Method::AdaGrad { .. } => (0.01, 0.0),
            Method::Lion { .. } => (1e-4, 0.0),
        };
        Ok(Self {
            method,
            learning_rate: written.learning_rate.unwrap_or(learning_rate),
            weight_decay: written.weight_decay.unwrap_or(weight_decay),
            decay: written.decay,
            accumulate: written.accumulate.unwrap_or(1),
            clip: written.clip,
        })
    }
}

impl From<OptimizerRecipe> for Written {
    fn from(recipe: OptimizerRecipe) -> Self {
        let mut written = Self {
            learning_rate: Some(recipe.learning_rate),
            weight_decay: Some(recipe.weight_decay),
            decay: recipe.decay,
            accumulate: Some(recipe.accumulate),
            clip: recipe.clip,
            ..Self::default()
        };
        match recipe.method {
            Method::Sgd { momentum, nesterov } => {
                (written.momentum, written.nesterov) = (Some(momentum), Some(nesterov));
            }
            Method::Adam { betas, epsilon } => {
                written.kind = Kind::Adam;
                (written.betas, written.epsilon) = (Some(betas), Some(epsilon));
            }
            Method::AdamW { betas, epsilon } => {
                written.kind = Kind::AdamW;
                (written.betas, written.epsilon) = (Some(betas), Some(epsilon));
            }
            Method::RmsProp {
                alpha,
                momentum,
                epsilon,
            } => {
                written.kind = Kind::RmsProp;
                (written.alpha, written.momentum) = (Some(alpha), Some(momentum));
                written.epsilon = Some(epsilon);
            }
            Method::AdaGrad { epsilon } => {
                (written.kind, written.epsilon) = (Kind::AdaGrad, Some(epsilon));
            }
            Method::Lion { betas } => (written.kind, written.betas) = (Kind::Lion, Some(betas)),
            Method::Lamb { betas, epsilon } => {
                written.kind = Kind::Lamb;
                (written.betas, written.epsilon) = (Some(betas), Some(epsilon));
            }
        }
        written
    }
}

impl Default for OptimizerRecipe {
    fn default() -> Self {
        match Written::default().try_into() {
            Ok(recipe) => recipe,
            Err(reason) => unreachable!("{reason}"),
        }
    }
}

impl OptimizerRecipe {
    /// Returns the optimiser, without velocities, for parameters that all decay.
    pub fn init(&self) -> ModuleOptimizer {
        self.build(self.weight_decay, None)
    }

    /// Returns the optimiser for parameters of which these are norms and biases.
    pub(crate) fn init_for(&self, norms_and_biases: &[ParamId]) -> ModuleOptimizer {
        match self.decay {
            Decay::All => self.init(),
            Decay::Weights => {
                let group = ParamGroup::ids_from_module(stand_ins(norms_and_biases));
                self.build(0.0, Some((self.init(), group)))
            }
        }
    }

    /// The method with this decay: for all parameters, or added to another optimiser for a group.
    fn build(&self, decay: f64, add: Option<(ModuleOptimizer, ParamGroup)>) -> ModuleOptimizer {
        macro_rules! built {
            ($config:expr) => {
                match add {
                    None => ModuleOptimizer::from($config.build()),
                    Some((optimizer, group)) => optimizer.with_group(group, $config.build(), None),
                }
            };
        }
        let decay = decay as f32;
        let in_gradient = (decay > 0.0).then(|| WeightDecayConfig::new(decay));
        match self.method {
            Method::Sgd { momentum, nesterov } => {
                let momentum = (momentum > 0.0).then(|| {
                    MomentumConfig::new()
                        .with_momentum(momentum)
                        .with_dampening(0.0)
                        .with_nesterov(nesterov)
                });
                built!(
                    SgdConfig::new()
                        .with_momentum(momentum)
                        .with_weight_decay(in_gradient)
                )
            }
            Method::Adam { betas, epsilon } => built!(
                AdamConfig::new()
                    .with_beta_1(betas[0] as f32)
                    .with_beta_2(betas[1] as f32)
                    .with_epsilon(epsilon as f32)
                    .with_weight_decay(in_gradient)
            ),
            Method::AdamW { betas, epsilon } => built!(
                AdamWConfig::new()
                    .with_beta_1(betas[0] as f32)
                    .with_beta_2(betas[1] as f32)
                    .with_epsilon(epsilon as f32)
                    .with_weight_decay(decay)
            ),
            Method::RmsProp {
                alpha,
                momentum,
                epsilon,
            } => built!(
                RmsPropConfig::new()
                    .with_alpha(alpha as f32)
                    .with_momentum(momentum as f32)
                    .with_epsilon(epsilon as f32)
                    .with_weight_decay(in_gradient)
            ),
            Method::AdaGrad { epsilon } => built!(
                AdaGradConfig::new()
                    .with_epsilon(epsilon as f32)
                    .with_weight_decay(in_gradient)
            ),
            Method::Lion { betas } => built!(
                LionConfig::new()
                    .with_beta_1(betas[0] as f32)
                    .with_beta_2(betas[1] as f32)
                    .with_weight_decay(decay)
            ),
            Method::Lamb { betas, epsilon } => built!(
                LambConfig::new()
                    .with_beta_1(betas[0] as f32)
                    .with_beta_2(betas[1] as f32)
                    .with_epsilon(epsilon as f32)
                    .with_weight_decay(decay)
            ),
        }
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        let range = |key: &str, found: f64, fits: bool, expected: &str| match fits {
            true => Ok(()),
            false => Err(TrainError::Recipe {
                place: format!("optimizer.{key}"),
                reason: format!("is {found}, expected {expected}"),
            }),
        };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let share =
            |key: &str, x: f64| range(key, x, (0.0..1.0).contains(&x), "a number in [0, 1)");
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        range("learning_rate", rate, positive(rate), "a positive number")?;
        let fits = decay.is_finite() && decay >= 0.0;
        range("weight_decay", decay, fits, "0 or a positive number")?;
        let (accumulate, fits) = (self.accumulate as f64, self.accumulate > 0);
        range("accumulate", accumulate, fits, "at least 1")?;
        if let Some(clip) = self.clip {
            range("clip", clip, positive(clip), "a positive number")?;
        }
        let epsilon = |x: f64| range("epsilon", x, positive(x), "a positive number");
        match self.method {
            Method::Sgd { momentum, .. } => share("momentum", momentum),
            Method::Adam { betas, epsilon: e }
            | Method::AdamW { betas, epsilon: e }
            | Method::Lamb { betas, epsilon: e } => {
                betas.iter().try_for_each(|beta| share("betas", *beta))?;
                epsilon(e)
            }
            Method::RmsProp {
                alpha,
                momentum,
                epsilon: e,
            } => {
                share("alpha", alpha)?;
                share("momentum", momentum)?;
                epsilon(e)
            }
            Method::AdaGrad { epsilon: e } => epsilon(e),
            Method::Lion { betas } => betas.iter().try_for_each(|beta| share("betas", *beta)),
        }
    }
}
