use burn::tensor::{Device, Tensor};
use kd_core::*;

use crate::common::*;
use crate::{close, matrix};

#[test]
fn neighbours_of_zeros() {
    // Two orthogonal samples: cosines of 1 and 0, probabilities 2/3 and 1/3. Zeros are as close to others as to themselves.
    let teacher = matrix([[3.0, 0.0], [0.0, 0.1]]);
    let zeros = matrix([[0.0; 3]; 2]);
    let (near, far) = (2.0 / 3.0f64, 1.0 / 3.0f64);
    let expected = (near * (2.0 * near).ln() + far * (2.0 * far).ln()) / 2.0;
    close(PktLoss.forward(zeros.clone(), teacher.clone()), expected);
    let expected = (0.5 * (0.5f64 / near).ln() + 0.5 * (0.5 / far).ln()) / 2.0;
    close(PktLoss.forward(teacher.clone(), zeros.clone()), expected);
    close(PktLoss.forward(zeros.clone(), zeros.clone()), 0.0);
    close(
        PktLoss.forward(matrix([[1.0, 2.0]]), matrix([[0.0, -1.0]])),
        0.0,
    );
}

#[test]
fn pkt_does_not_move_an_embedding_of_zeros() {
    let teacher = matrix([[3.0, 0.0], [0.0, 0.1]]);
    for student in [matrix([[0.0; 3]; 2]), matrix([[0.0; 3], [1.0, 2.0, 2.0]])] {
        let (_, gradient) = with_gradient(|s, t| PktLoss.forward(s, t), &student, &teacher);
        assert_eq!(gradient[..3], [0.0; 3]);
    }
}

#[test]
fn relations_of_few_samples() {
    let rkd = RkdLossConfig::new().init().unwrap();
    close(
        rkd.forward(matrix([[1.0, 2.0]]), matrix([[-3.0, 0.5]])),
        0.0,
    );
    // The distance between two samples is its own mean.
    close(
        rkd.forward(matrix([[0.0, 0.0], [3.0, 4.0]]), matrix([[1.0], [1.5]])),
        0.0,
    );
    // Three samples in one place, and a triangle with sides of 3, 4 and 5, whose mean is 4. In one place all distances are equal: two of
    // the triangle's differ from them by 1/4, each twice. There are no angles, where the triangle has the cosines 0, 3/5 and 4/5, each
    // twice, and 1 between each of six directions and itself.
    let triangle = matrix([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]);
    let terms = rkd.terms(matrix([[7.0; 4]; 3]), triangle.clone());
    close(terms.distance, 2.0 * 2.0 * 0.25f64.powi(2) / 2.0 / 9.0);
    let cosines = (2.0 * (0.6f64.powi(2) + 0.8f64.powi(2)) + 6.0) / 2.0 / 27.0;
    close(terms.angle.unwrap(), cosines);
    close(rkd.forward(triangle.clone() * 3.0, triangle), 0.0);
}

/// Of this embedding and these logits, with maps of one number.
fn graph(embedding: Tensor<2>, logits: Tensor<2>, number: f32) -> Graph {
    let ([batch, _], device) = (logits.dims(), logits.device());
    let [lower, upper] = [[batch, 2, 4, 4], [batch, 4, 2, 2]];
    Graph {
        lower: Tensor::full(lower, number, &device),
        upper: Tensor::full(upper, number, &device),
        embedding,
        logits,
    }
}

#[test]
fn a_graph_of_one_sample_is_its_vertex() {
    let irg = IrgLossConfig::new().init().unwrap();
    let of = |number| graph(matrix([[number; 6]]), matrix([[number; 5]]), number);
    let ordinary = Graph {
        upper: of(0.5).upper,
        ..graph(
            matrix([[0.3, -1.0]]),
            matrix([[2.0, 0.0, 0.1, 0.5, -0.7]]),
            -1.5,
        )
    };
    let terms = irg.terms(ordinary, of(1.0));
    close(terms.edge, 0.0);
    close(terms.transformation, 0.0);
    close(irg.forward(of(0.0), of(1.0)), 0.1);
}

/// In one place all distances are equal, and so is each to the largest.
#[test]
fn a_graph_of_equal_samples() {
    let irg = IrgLossConfig::new().init().unwrap();
    let of = |number| graph(matrix([[number; 6]; 3]), matrix([[number; 5]; 3]), number);
    close(irg.terms(of(0.0), of(1.0)).edge, 0.0);
    let embedding = matrix([[0.0], [1.0], [1.0]]);
    let teacher = graph(embedding, matrix([[0.0; 5]; 3]), 0.0);
    // Of one of three matrices two of nine elements are 0 instead of 1.
    close(irg.terms(of(0.0), teacher).edge, 2.0 / 9.0 / 3.0);
}

/// Samples that a network cannot tell apart, but for the last bits that an order of summation
/// leaves.
fn rounded(batch: usize, width: usize, scale: f64) -> Tensor<2> {
    let (one, noise) = (
        numbers(1, width, scale, 0.4),
        numbers(batch, width, 2e-7, 0.9),
    );
    let values: Vec<_> = one
        .iter()
        .cycle()
        .zip(noise)
        .map(|(x, noise)| x * (1.0 + noise))
        .collect();
    rows(&values, width, &Device::flex())
}

/// Differences of rounding have no directions and no proportions.
#[test]
fn relations_of_samples_that_are_equal_up_to_rounding() {
    for scale in [1e-2, 1.0, 1e3] {
        let (student, equal) = (
            rounded(6, 64, scale),
            rounded(1, 64, scale).repeat_dim(0, 6),
        );
        let teacher = rows(&numbers(6, 64, 1.0, 2.1), 64, &Device::flex());
        let rkd = RkdLossConfig::new().init().unwrap();
        let irg = IrgLossConfig::new().init().unwrap();
        let of = |x: Tensor<2>| graph(x.clone(), x.zeros_like(), 0.0);
        type Loss<'a> = &'a dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<1>;
        let losses: [(&str, Loss<'_>); 2] = [
            ("RKD", &|s, t| rkd.forward(s, t)),
            ("IRG", &|s, t| irg.forward(of(s), of(t))),
        ];
        for (name, loss) in losses {
            let name = format!("{name} at {scale}");
            let (value, gradient) = with_gradient(loss, &student, &teacher);
            assert!(gradient.iter().all(|g| *g == 0.0), "{name}: {gradient:?}");
            assert_eq!(value, with_gradient(loss, &equal, &teacher).0, "{name}");
            let of_teacher = with_gradient(loss, &teacher, &student).0;
            assert_eq!(
                of_teacher,
                with_gradient(loss, &teacher, &equal).0,
                "{name}"
            );
        }
    }
}

#[test]
fn a_batch_of_one_has_no_correlations() {
    let gaussian = CcKernel::Gaussian {
        gamma: 0.4,
        order: 2,
    };
    for kernel in [CcKernel::Consecutive, gaussian] {
        let config = CcLossConfig::new(3, 2).with_kernel(kernel);
        let loss = config.init(&Device::flex()).unwrap();
        close(
            loss.forward(matrix([[1.0, 2.0, 3.0]]), matrix([[-1.0, 5.0]])),
            0.0,
        );
    }
}

/// The loss of one side of CRD where the positive has the cosine `p` and the `k` negatives, of `n` samples, have `q`.
fn crd_side(contrast: CrdContrast, [p, q]: [f64; 2], k: f64, n: f64, temperature: f64) -> f64 {
    let (positive, negative) = ((p / temperature).exp(), (q / temperature).exp());
    match contrast {
        CrdContrast::InfoNce => (1.0 + k * negative / positive).ln(),
        CrdContrast::Nce => {
            let noise = (k / n + 1e-7) * n * (positive + k * negative) / (k + 1.0);
            (1.0 + noise / positive).ln() + k * (1.0 + negative / noise).ln()
        }
    }
}

/// Embeddings of one number, of norm 1, and banks of the same or the opposite number: up to the coldest temperature that there is.
#[test]
fn contrasts_of_opposite_embeddings() {
    let samples = 5;
    let (student, teacher) = (matrix([[0.3, -1.0]]), matrix([[2.0, 0.1]]));
    let negatives = Negatives::new(&[vec![1, 3, 4]], samples).unwrap();
    for contrast in [CrdContrast::Nce, CrdContrast::InfoNce] {
        for temperature in [1.0, 0.07, 0.025] {
            let config = CrdLossConfig::new(2, 2, samples).with_features(1);
            let config = config.with_temperature(temperature).with_contrast(contrast);
            for cosines in [
                [1.0, -1.0],
                [1.0, 1.0],
                [-1.0, -1.0],
                [-1.0, 1.0],
                [0.0, 0.0],
            ] {
                let mut loss = config.init(&Device::flex()).unwrap();
                let sign = |x: Tensor<2>| host(x)[0].signum();
                let signs = [
                    sign(loss.embed_s.forward(student.clone())),
                    sign(loss.embed_t.forward(teacher.clone())),
                ];
                let [p, q] = cosines;
                let bank = |sign: f64| {
                    let rows = [q, q, p, q, q].map(|cosine| [(sign * cosine) as f32]);
                    move |_| matrix(rows)
                };
                // Each is an anchor in the other's bank.
                loss.bank_t = loss.bank_t.map(bank(signs[0]));
                loss.bank_s = loss.bank_s.map(bank(signs[1]));
                let output = loss.forward(student.clone(), teacher.clone(), &[2], &negatives);
                let found = number(output.unwrap().loss);
                let expected = 2.0 * crd_side(contrast, cosines, 3.0, samples as f64, temperature);
                let name = format!("{contrast:?}, T = {temperature}, {cosines:?}");
                assert!(
                    (found - expected).abs() <= 1e-5 * expected.abs() + 1e-6,
                    "{name}: {found} instead of {expected}"
                );
            }
        }
    }
}

/// Banks are drawn with rows of a norm of up to 1.7, and more than that they never have.
#[test]
fn contrasts_with_new_banks_are_finite_at_the_coldest_temperature() {
    let device = Device::flex().autodiff();
    let negatives = Negatives::new(&[vec![2, 3, 4], vec![4, 5, 6]], 8).unwrap();
    let input = |phase| rows(&numbers(2, 4, 1.0, phase), 4, &device);
    for contrast in [CrdContrast::Nce, CrdContrast::InfoNce] {
        for features in [1, 2, 16] {
            for seed in 0..10 {
                let config = CrdLossConfig::new(4, 4, 8)
                    .with_features(features)
                    .with_seed(seed);
                let config = config.with_temperature(0.025).with_contrast(contrast);
                let loss = config.init(&device).unwrap();
                let student = input(0.1).require_grad();
                let output = loss.forward(student.clone(), input(0.8), &[0, 1], &negatives);
                let value = output.unwrap().loss;
                let gradient = host(student.grad(&value.backward()).unwrap());
                let name = format!("{contrast:?}, {features} features, seed {seed}");
                assert!(number(value).is_finite(), "{name}");
                assert!(gradient.iter().all(|g| g.is_finite()), "{name}");
            }
        }
    }
}
