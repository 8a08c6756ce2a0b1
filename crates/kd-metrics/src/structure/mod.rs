//! How the embeddings of classes lie to one another.

mod cohesion;
mod embeddings;
mod moments;
mod pca;
mod tsne;

pub use cohesion::{ClassStructure, StructureReport};
pub use embeddings::Embeddings;
pub use moments::{EmbeddingMoments, Standardization};
pub use pca::{Pca, pca};
pub use tsne::{TsneConfig, TsneLayout};
