"""Losses of feature maps."""

import torch.nn.functional as F

from .harness import Case, bias, norm, tensor, weight
from .terms import batch_norm, match, mean_square, unit

# name: shapes of the student's and of the teacher's map
SHAPES = {
    "plain": ((4, 6, 8, 8), (4, 6, 8, 8)),
    "batch1": ((1, 6, 5, 7), (1, 6, 5, 7)),
    "batch2": ((2, 3, 5, 7), (2, 5, 5, 7)),
    "larger_s": ((3, 6, 8, 8), (3, 10, 4, 4)),
    "larger_t": ((3, 6, 4, 4), (3, 10, 8, 8)),
    "odd": ((3, 4, 7, 5), (3, 4, 3, 3)),
    "big": ((64, 16, 8, 8), (64, 24, 8, 8)),
}


def fitnet(x, relu):
    """Mean squared difference of the teacher's map and of conv, batch norm and (optional) ReLU on the student's."""
    kernel = x["conv.weight"]
    height, target = x.student.shape[2], x.teacher.shape[2]
    if height == 2 * target:
        y = F.conv2d(x.student, kernel, x["conv.bias"], stride=2, padding=1)
    elif 2 * height == target:
        y = F.conv_transpose2d(x.student, kernel, x["conv.bias"], stride=2, padding=1)
    else:
        y = F.conv2d(x.student, kernel, x["conv.bias"])
    y = batch_norm(y, x, "norm")
    return mean_square(y.relu() if relu else y, x.teacher)


def attention(f, p):
    """Mean over channels of |f|^p, flattened, of length 1 for each sample."""
    return unit((f.abs() ** p).mean(1).flatten(1))


def at(x, form, p):
    """Difference of the attention maps: mean of squares, or mean over the batch of its length."""
    s, t = match(x.student, x.teacher)
    difference = attention(s, p) - attention(t, p)
    return (difference**2).mean() if form == "mean_square" else difference.norm(dim=1).mean()


def nst(x):
    """Maximum mean discrepancy of the channels' unit maps, with the kernel (a . b)^2."""
    s, t = (unit(f.flatten(2), 2) for f in match(x.student, x.teacher))
    kernel = lambda a, b: ((a @ b.transpose(1, 2)) ** 2).mean()
    return kernel(t, t) + kernel(s, s) - 2 * kernel(s, t)


def vid(x):
    """Mean of ((mu - t)^2 / var + log var) / 2: a Gaussian whose mean three 1x1 convolutions guess from the student."""
    mean, t = match(x.student, x.teacher)
    for i in range(3):
        mean = F.conv2d(mean.relu() if i else mean, x[f"regressor.{i}.weight"])
    variance = (F.softplus(x.log_scale) + 1e-5).view(1, -1, 1, 1)
    return (0.5 * ((mean - t) ** 2 / variance + variance.log())).mean()


def flow(lower, upper):
    """Inner products of every lower with every upper channel, over the positions."""
    lower, upper = match(lower, upper)
    return lower.flatten(2) @ upper.flatten(2).transpose(1, 2) / (lower.shape[2] * lower.shape[3])


def fsp(x):
    return mean_square(flow(x.student_lower, x.student_upper), flow(x.teacher_lower, x.teacher_upper))


def ab(x, form, margin):
    """Squared distance from the margin on the teacher's side of 0: 3/1000 of the sum per sample, or the mean."""
    s, t = x.student, x.teacher
    above = (s + margin) ** 2 * ((s > -margin) & (t <= 0))
    below = (s - margin) ** 2 * ((s <= margin) & (t > 0))
    return (above + below).mean() if form == "mean" else (above + below).sum() / len(s) * 3 / 1000


def factor_distance(s, t, form):
    """Mean absolute difference of attention maps, or of whole factors of length 1."""
    s, t = match(s, t)
    if form == "attention":
        return (attention(s, 2) - attention(t, 2)).abs().mean()
    return (unit(s.flatten(1)) - unit(t.flatten(1))).abs().mean()


def ft(x, form):
    return factor_distance(x.student, x.teacher, form)


def paraphraser(x, k):
    """Mean squared error of an autoencoder's reconstruction of the teacher's map; the factor has k of its channels."""
    assert x["encoder.2.weight"].shape[0] == int(k * x.teacher.shape[1])
    y = x.teacher
    for part, convolve in (("encoder", F.conv2d), ("decoder", F.conv_transpose2d)):
        for i in range(3):
            y = F.leaky_relu(convolve(y, x[f"{part}.{i}.weight"], x[f"{part}.{i}.bias"], padding=1), 0.1)
    return mean_square(y, x.teacher)


def translator(x):
    """The student's map through three 3x3 convolutions, against a factor of the teacher's by attention."""
    y = x.student
    for i in range(3):
        y = F.conv2d(y, x[f"encoder.{i}.weight"], x[f"encoder.{i}.bias"], padding=1)
        y = F.leaky_relu(batch_norm(y, x, f"norms.{i}"), 0.1)
    return factor_distance(y, x.teacher, "attention")


def pair(student, teacher, scale=1.0):
    return {"student": tensor(student, scale), "teacher": tensor(teacher, scale)}


def convolution(name, outputs, inputs, kernel, transposed=False):
    shape = (inputs, outputs, *kernel) if transposed else (outputs, inputs, *kernel)
    fan_in = inputs * kernel[0] * kernel[1]
    return {f"{name}.weight": weight(*shape, fan_in=fan_in), f"{name}.bias": bias(outputs)}


def fitnet_parameters(student, teacher):
    (_, c_s, h_s, w_s), (_, c_t, h_t, w_t) = student, teacher
    kernel = (3, 3) if h_s == 2 * h_t else (4, 4) if 2 * h_s == h_t else (1 + h_s - h_t, 1 + w_s - w_t)
    return convolution("conv", c_t, c_s, kernel, transposed=2 * h_s == h_t) | norm("norm", c_t)


def fitnet_cases():
    shapes = {
        "plain": ((4, 6, 8, 8), (4, 9, 8, 8)),
        "half": ((4, 6, 8, 8), (4, 9, 4, 4)),
        "double": ((4, 6, 8, 8), (4, 9, 16, 16)),
        "odd": ((4, 6, 8, 8), (4, 9, 6, 5)),
        "batch1": ((1, 6, 5, 7), (1, 4, 5, 7)),
        "batch2": ((2, 3, 5, 7), (2, 4, 3, 4)),
        "big": ((64, 16, 8, 8), (64, 32, 8, 8)),
    }
    for name, (s, t) in shapes.items():
        for relu in (True, False) if name == "plain" else (True,):
            yield Case("fitnet", name, fitnet, pair(s, t), {"relu": relu}, fitnet_parameters(s, t))


def vid_parameters(student, teacher):
    c_s, c_t = student[1], teacher[1]
    inputs = (c_s, c_t, c_t)
    regressor = {f"regressor.{i}.weight": weight(c_t, n, 1, 1, fan_in=n) for i, n in enumerate(inputs)}
    return regressor | {"log_scale": tensor((c_t,), 0.5, 4.9933)}


def fsp_cases():
    # lower and upper map of the student, then of the teacher
    shapes = {
        "plain": ((4, 3, 8, 8), (4, 5, 4, 4), (4, 3, 8, 8), (4, 5, 4, 4)),
        "batch1": ((1, 3, 5, 7), (1, 4, 5, 7), (1, 3, 5, 7), (1, 4, 5, 7)),
        "batch2": ((2, 3, 4, 4), (2, 5, 8, 8), (2, 3, 4, 4), (2, 5, 8, 8)),
        "odd": ((3, 4, 7, 5), (3, 6, 3, 3), (3, 4, 9, 6), (3, 6, 4, 5)),
        "big": ((64, 8, 8, 8), (64, 16, 4, 4), (64, 8, 8, 8), (64, 16, 4, 4)),
    }
    names = "student_lower", "student_upper", "teacher_lower", "teacher_upper"
    for name, four in shapes.items():
        yield Case("fsp", name, fsp, {n: tensor(shape) for n, shape in zip(names, four)})


def factor_cases():
    for name, shape in {
        "batch1": (1, 5, 3, 4),
        "plain": (2, 6, 5, 7),
        "even": (4, 8, 4, 4),
        "big": (64, 4, 6, 6),
    }.items():
        channels, few = shape[1], int(shape[1] * 0.5)
        layers = (channels, channels), (channels, few), (few, few)
        parameters = {}
        for i, (inputs, outputs) in enumerate(layers):
            parameters |= convolution(f"encoder.{i}", outputs, inputs, (3, 3))
        for i, (outputs, inputs) in enumerate(reversed(layers)):
            parameters |= convolution(f"decoder.{i}", outputs, inputs, (3, 3), transposed=True)
        yield Case("paraphraser", name, paraphraser, {"teacher": tensor(shape)}, {"k": 0.5}, parameters)
    shapes = {
        "plain": ((4, 6, 8, 8), (4, 5, 8, 8)),
        "batch1": ((1, 4, 5, 7), (1, 3, 5, 7)),
        "batch2": ((2, 3, 5, 7), (2, 5, 3, 4)),
        "larger_t": ((3, 4, 4, 4), (3, 4, 8, 8)),
        "big": ((64, 8, 6, 6), (64, 6, 6, 6)),
    }
    for name, (s, t) in shapes.items():
        channels, few, parameters = s[1], t[1], {}
        for i, (inputs, outputs) in enumerate(((channels, channels), (channels, few), (few, few))):
            parameters |= convolution(f"encoder.{i}", outputs, inputs, (3, 3)) | norm(f"norms.{i}", outputs)
        yield Case("translator", name, translator, pair(s, t), {}, parameters)


def cases():
    yield from fitnet_cases()
    for name, (s, t) in SHAPES.items():
        same = (s[0], s[1], t[2], t[3])  # the teacher's map with the student's channels
        for form in ("mean_square", "norm"):
            yield Case("at", name, at, pair(s, t), {"form": form, "p": 2})
        yield Case("nst", name, nst, pair(s, t))
        yield Case("vid", name, vid, pair(s, t), {}, vid_parameters(s, t))
        yield Case("ft", name, ft, pair(s, t), {"form": "attention"})
        yield Case("ft", name, ft, pair(s, same), {"form": "factor"})
        for form in ("sum", "mean"):
            yield Case("ab", name, ab, pair(s, s, scale=2.0), {"form": form, "margin": 1.0})
    yield Case("ab", "narrow", ab, pair((2, 3, 5, 7), (2, 3, 5, 7), scale=2.0), {"form": "sum", "margin": 0.5})
    yield Case("at", "power4", at, pair(*SHAPES["odd"]), {"form": "mean_square", "p": 4})
    yield Case("at", "crossed", at, pair((2, 4, 6, 3), (2, 5, 3, 6)), {"form": "mean_square", "p": 2})
    yield from fsp_cases()
    yield from factor_cases()
