"""Compares the losses here with published implementations, run as they are, on the same inputs.

Each function `..._rows` lists comparisons; one has the signature of the loss it stands for and calls published code.
"""

import types
from collections import namedtuple
from functools import partial

import torch
import torch.nn.functional as F

from .checkouts import Sources, called, on_cpu

NOT_COMPARED = {
    "js": "no published implementation there; torch's own divergence only",
    "mse_logits centered": "no published implementation there",
    "at norm": "the paper's form; all of them publish the mean of squares",
    "sp global": "RepDistiller has it in a comment only",
    "crd info_nce": "no published implementation there",
    "mmd": "no published implementation there",
    "peer_teacher": "no published implementation there",
    "kdcl": "no published implementation found",
    "ddgsd": "no published implementation found",
    "tf_kd batch_mean": "the published form averages over the classes as well",
}

Row = namedtuple("Row", "loss implementation function why where")


def row(loss, implementation, function, why="", where=lambda case: True, **params):
    """A comparison on the cases of `loss` with these params for which `where` holds."""
    return Row(loss, implementation, function, why, lambda c: params.items() <= c.params.items() and where(c))


def batch(case):
    return next(iter(case.inputs.values()))["shape"][0]


def several(case):
    return batch(case) > 1


def logit_rows(up):
    def kd(term):
        def function(x, alpha, temperature, teacher_temperature, tau_squared):
            published = term(x.student, x.teacher, temperature)
            return (1 - alpha) * F.cross_entropy(x.student, x.labels) + alpha * published

        return function

    def kd_torch(x, alpha, temperature, teacher_temperature, tau_squared):
        scale = temperature**2 if tau_squared else 1
        return (1 - alpha) * F.cross_entropy(x.student, x.labels) + alpha * scale * kl_torch(
            x.student / temperature, x.teacher / teacher_temperature
        )

    def kl_torch(student, teacher):
        return F.kl_div(student.log_softmax(1), teacher.softmax(1), reduction="batchmean")

    def js(x, temperature):
        s, t = (x.student / temperature).softmax(1), (x.teacher / temperature).softmax(1)
        log_m = ((s + t) / 2).log()
        halves = F.kl_div(log_m, t, reduction="batchmean") + F.kl_div(log_m, s, reduction="batchmean")
        return temperature**2 * halves / 2

    def dist(x, beta, gamma, temperature):
        loss = up.module("DIST_KD", "segmentation/losses/dist_kd").DIST(beta, gamma)
        return temperature**2 * loss(x.student / temperature, x.teacher / temperature)

    full = {"temperature": 4.0, "teacher_temperature": 4.0, "tau_squared": True}
    spread = "it spreads epsilon over the other classes only"
    return [
        row("kd", "RepDistiller DistillKL", kd(lambda s, t, tau: up.rd("KD").DistillKL(tau)(s, t)), **full),
        row("kd", "mdistiller kd_loss", kd(lambda s, t, tau: up.md("KD").kd_loss(s, t, tau)), **full),
        row("kd", "Zoo SoftTarget", kd(lambda s, t, tau: up.zoo("st").SoftTarget(tau)(s, t)), **full),
        row("kd", "torch kl_div", kd_torch),
        row("soft_cross_entropy", "torch cross_entropy", lambda x: F.cross_entropy(x.student, x.teacher.softmax(1))),
        row(
            "label_smoothing",
            "torch cross_entropy",
            lambda x, epsilon: F.cross_entropy(x.student, x.labels, label_smoothing=epsilon),
        ),
        row(
            "label_smoothing",
            "Tf-KD loss_label_smoothing",
            lambda x, epsilon: up.tf_kd().loss_label_smoothing(x.student, x.labels),
            spread,
        ),
        row("dkd", "mdistiller dkd_loss", lambda x, **p: up.md("DKD").dkd_loss(x.student, x.teacher, x.labels, **p)),
        row("dist", "DIST_KD DIST", dist),
        row("js", "torch kl_div", js),
        row(
            "reverse_kl",
            "RepDistiller DistillKL, exchanged",
            lambda x, temperature: up.rd("KD").DistillKL(temperature)(x.teacher, x.student),
        ),
        row(
            "mse_logits",
            "Zoo Logits",
            lambda x: up.zoo("logits").Logits()(x.student, x.teacher),
            where=lambda c: not c.params,
        ),
    ]


def feature_rows(up):
    def fitnet(regressor, distance):
        def function(x, relu):
            names = {
                "conv.weight": "conv.weight",
                "conv.bias": "conv.bias",
                "bn.weight": "norm.gamma",
                "bn.bias": "norm.beta",
            }
            module = regressor()(x.student.shape, x.teacher.shape, use_relu=relu)
            return distance(called(module, {ours: x[name] for ours, name in names.items()}, x.student), x.teacher)

        return function

    def vid_names(x, form="regressor.{}.weight"):
        return {form.format(2 * i): x[f"regressor.{i}.weight"] for i in range(3)}

    def vid(x):
        c_s, c_t = x.student.shape[1], x.teacher.shape[1]
        return called(
            up.rd("VID").VIDLoss(c_s, c_t, c_t), vid_names(x) | {"log_scale": x.log_scale}, x.student, x.teacher
        )

    def vid_md(x):
        c_s, c_t = x.student.shape[1], x.teacher.shape[1]
        one = up.md("VID").conv1x1
        stack = torch.nn.Sequential(one(c_s, c_t), torch.nn.ReLU(), one(c_t, c_t), torch.nn.ReLU(), one(c_t, c_t))
        regressor = lambda f: called(stack, vid_names(x, "{}.weight"), f)
        return up.md("VID").vid_loss(regressor, x.log_scale, x.student, x.teacher)

    def fsp(x):
        flow = up.rd("FSP").FSP
        s, t = (flow.compute_fsp([x[f"{side}_lower"], x[f"{side}_upper"]])[0] for side in ("student", "teacher"))
        return flow.compute_loss(s, t)

    def fsp_zoo(x):
        return up.zoo("fsp").FSP()(x.student_lower, x.student_upper, x.teacher_lower, x.teacher_upper)

    def layers(x, part):
        return {f"{part}.{3 * i}.{kind}": x[f"{part}.{i}.{kind}"] for i in range(3) for kind in ("weight", "bias")}

    def paraphraser(x, k):
        module = up.rd_modules().Paraphraser(x.teacher.shape, k)
        return up.rd("FitNet").HintLoss()(
            called(module, layers(x, "encoder") | layers(x, "decoder"), x.teacher)[1], x.teacher
        )

    def translator(x):
        module = up.rd_modules().Translator(x.student.shape, x.teacher.shape, k=1)
        norms = {f"encoder.{3 * i + 1}.weight": x[f"norms.{i}.gamma"] for i in range(3)}
        norms |= {f"encoder.{3 * i + 1}.bias": x[f"norms.{i}.beta"] for i in range(3)}
        return up.rd("FT").FactorTransfer()(called(module, layers(x, "encoder") | norms, x.student), x.teacher)

    def one_size(case):
        return case.inputs["student"]["shape"][2:] == case.inputs["teacher"]["shape"][2:]

    def larger_lower(case):
        return case.inputs["student_lower"]["shape"][2] >= case.inputs["student_upper"]["shape"][2]

    square = lambda case: (case.loss, case.name) not in {("at", "crossed"), ("fsp", "odd"), ("translator", "batch2")}
    to_squares = "it pools to squares only"
    mean_square = {"form": "mean_square"}
    return [
        row(
            "fitnet",
            "RepDistiller ConvReg, HintLoss",
            fitnet(lambda: up.rd_modules().ConvReg, lambda a, b: up.rd("FitNet").HintLoss()(a, b)),
        ),
        row("fitnet", "mdistiller ConvReg", fitnet(lambda: up.md("_common").ConvReg, F.mse_loss)),
        row(
            "at",
            "RepDistiller Attention",
            lambda x, form, p: up.rd("AT").Attention(p).at_loss(x.student, x.teacher),
            to_squares,
            square,
            **mean_square,
        ),
        row(
            "at",
            "mdistiller at_loss",
            lambda x, form, p: up.md("AT").at_loss([x.student], [x.teacher], p),
            to_squares,
            square,
            **mean_square,
        ),
        row(
            "at",
            "Zoo AT",
            lambda x, form, p: up.zoo("at").AT(p)(x.student, x.teacher),
            "it adds 1e-6 to the norm",
            one_size,
            **mean_square,
        ),
        row("nst", "RepDistiller NSTLoss", lambda x: up.rd("NST").NSTLoss().nst_loss(x.student, x.teacher)),
        row("nst", "mdistiller nst_loss", lambda x: up.md("NST").nst_loss([x.student], [x.teacher])),
        row("nst", "Zoo NST", lambda x: up.zoo("nst").NST()(x.student, x.teacher), where=one_size),
        row("vid", "RepDistiller VIDLoss", vid),
        row("vid", "mdistiller vid_loss", vid_md),
        row("fsp", "RepDistiller FSP", fsp, to_squares, square),
        row("fsp", "Zoo FSP", fsp_zoo, where=larger_lower),
        row(
            "ab",
            "RepDistiller ABLoss",
            lambda x, form, margin: up.rd("AB").ABLoss(1, margin)([x.student], [x.teacher])[0],
            form="sum",
        ),
        row("ab", "Zoo AB", lambda x, form, margin: up.zoo("ab").AB(margin)(x.student, x.teacher), form="mean"),
        row(
            "ft",
            "RepDistiller FactorTransfer",
            lambda x, form: up.rd("FT").FactorTransfer()(x.student, x.teacher),
            form="attention",
        ),
        row("ft", "Zoo FT", lambda x, form: up.zoo("ft").FT()(x.student, x.teacher), where=one_size, form="factor"),
        row("paraphraser", "RepDistiller Paraphraser", paraphraser),
        row("translator", "RepDistiller Translator", translator, to_squares, square),
    ]


def relation_rows(up):
    def embedded(x):
        result = []
        for side, f in (("s", x.student), ("t", x.teacher)):
            names = {f"linear.{kind}": x[f"embed_{side}.{kind}"] for kind in ("weight", "bias")}
            module = up.rd_modules().LinearEmbed(f.shape[1], len(names["linear.bias"]))
            result.append(called(module, names, f))
        return result

    def irg(x, **w):
        sides = [
            [x[f"{side}_{name}"] for name in ("lower", "upper", "embedding", "logits")]
            for side in ("student", "teacher")
        ]
        return up.zoo("irg").IRG(w["w_vertex"], w["w_edge"], w["w_transform"])(*sides)

    def crd(modules, memory_of, banks, loss_of):
        """CRD of one repository; `banks` are its names for the student's and the teacher's."""

        def function(x, form, temperature, momentum, steps=1):
            rows, dimension = x.bank_s.shape
            embed, memory_class, loss_class = modules()
            memory = memory_of(memory_class, dimension, rows, x.negatives.shape[1], temperature, momentum).double()
            for bank, name in zip((x.bank_s, x.bank_t), banks):
                setattr(memory, name, bank.detach().clone())
            values = []
            for step in ("", "2")[:steps]:
                v = []
                for side, name in (("s", "student"), ("t", "teacher")):
                    tensors = {f"linear.{kind}": x[f"embed_{side}.{kind}"] for kind in ("weight", "bias")}
                    v.append(called(embed(x[name + step].shape[1], dimension), tensors, x[name + step]))
                indices = x[f"indices{step}"]
                scores = memory(*v, indices, torch.cat([indices[:, None], x[f"negatives{step}"]], 1))
                values.append(sum(loss_of(loss_class, rows)(score).sum() for score in scores))
            extra = {"bank_s": getattr(memory, banks[0]), "bank_t": getattr(memory, banks[1])}
            return values[0], extra | ({"value2": values[1]} if steps == 2 else {})

        return function

    def repdistiller():
        memory, criterion = (up.module("RepDistiller", f"crd/{file}") for file in ("memory", "criterion"))
        return criterion.Embed, memory.ContrastMemory, criterion.ContrastLoss

    def mdistiller():
        module = up.md("CRD")
        return module.Embed, module.ContrastMemory, module.ContrastLoss

    def zoo():
        module = up.zoo("crd")
        return module.Embed, module.ContrastMemory, module.ContrastLoss

    def with_buffer(memory_class, dimension, rows, negatives, temperature, momentum):
        memory = memory_class(dimension, rows, negatives, temperature, momentum)
        memory.params = torch.tensor(
            [negatives, temperature, -1, -1, momentum], dtype=torch.float64
        )  # it keeps float32
        return memory

    plain_loss = lambda loss, rows: loss(rows)
    names = ("memory_v1", "memory_v2")
    rows_form, steps = {"form": "rows"}, {"form": "nce"}
    alone = "of 1 sample it gives NaN"
    return [
        row(
            "sp",
            "RepDistiller Similarity",
            lambda x, form: up.rd("SP").Similarity().similarity_loss(x.student, x.teacher),
            **rows_form,
        ),
        row("sp", "mdistiller sp_loss", lambda x, form: up.md("SP").sp_loss([x.student], [x.teacher]), **rows_form),
        row("sp", "Zoo SP", lambda x, form: up.zoo("sp").SP()(x.student, x.teacher), **rows_form),
        row(
            "cc",
            "RepDistiller Correlation",
            lambda x, form: up.rd("CC").Correlation()(*embedded(x)),
            alone,
            several,
            form="consecutive",
        ),
        row("cc", "Zoo CC", lambda x, form, gamma, order: up.zoo("cc").CC(gamma, order)(*embedded(x)), form="rbf"),
        row("pkt", "RepDistiller PKT", lambda x: up.rd("PKT").PKT()(x.student, x.teacher)),
        row("pkt", "mdistiller pkt_loss", lambda x: up.md("PKT").pkt_loss(x.student, x.teacher)),
        row("pkt", "Zoo PKTCosSim", lambda x: up.zoo("pkt").PKTCosSim()(x.student, x.teacher), "its eps is 1e-6"),
        row(
            "rkd",
            "RepDistiller RKDLoss",
            lambda x, **w: up.rd("RKD").RKDLoss(**w)(x.student, x.teacher),
            alone,
            several,
        ),
        row("rkd", "mdistiller rkd_loss", lambda x, **w: up.md("RKD").rkd_loss(x.student, x.teacher), alone, several),
        row("rkd", "Zoo RKD", lambda x, w_d, w_a: up.zoo("rkd").RKD(w_d, w_a)(x.student, x.teacher), alone, several),
        row("irg", "Zoo IRG", irg, alone, several),
        row("crd", "RepDistiller CRDLoss", crd(repdistiller, with_buffer, names, plain_loss), **steps),
        row("crd", "mdistiller CRD", crd(mdistiller, with_buffer, names, plain_loss), **steps),
        row(
            "crd",
            "Zoo CRD",
            crd(zoo, lambda memory, *sizes: memory(*sizes), ("memory_s", "memory_t"), plain_loss),
            "",
            several,
            **steps,
        ),
    ]


class Network(types.SimpleNamespace):
    """Stands for `self` in the forward pass of a published network: what is not given does nothing."""

    def __getattr__(self, name):
        return lambda x: x


def online_rows(up):
    def published_kl(peer, target, temperature):
        return up.okddip().KL_Loss(temperature)(peer, target)

    def exact_kl(peer, target, temperature):
        log_p, q = (peer / temperature).log_softmax(1), (target / temperature).softmax(1)
        return temperature**2 * F.kl_div(log_p, q, reduction="batchmean")

    def dml(kl, x, form, temperature):
        peers, value = x.all("peer"), 0
        for own in peers:
            others = [other for other in peers if other is not own]
            targets = others if form == "pairwise" else [sum(others) / len(others)]
            value = value + sum(kl(own, target.detach(), temperature) for target in targets) / len(targets)
        return value

    def dml_zoo(x, form, temperature):
        a, b = (peer / temperature for peer in x.all("peer"))
        loss = up.zoo("dml").DML()
        return temperature**2 * (loss(a, b.detach()) + loss(b, a.detach()))

    def one(kl, x, temperature):
        peers = x.all("peer")
        gate = torch.nn.BatchNorm1d(len(peers))
        network = Network(num_branches=len(peers), bpscale=False, ind=False, avg=False)
        network.control_v1 = lambda f: F.linear(f, x["gate.weight"], x["gate.bias"])
        network.bn_v1 = lambda f: called(gate, {"weight": x["norm.gamma"], "bias": x["norm.beta"]}, f)
        for j, peer in enumerate(peers):
            setattr(network, f"classifier4_{j}", lambda f, peer=peer: peer)
        mixed = up.okddip("models/model_cifar/resnet_one").ResNet.forward(network, x.shared)[1]
        return F.cross_entropy(mixed, x.labels) + sum(kl(peer, mixed.detach(), temperature) for peer in peers)

    def okddip(kl, x, form, temperature):
        peers = x.all("peer")
        network = Network(num_branches=len(peers) + 1, en=False)
        for side in ("query", "key"):
            setattr(network, f"{side}_weight", lambda f, side=side: F.linear(f, x[f"{side}.weight"]))
        for j, (peer, feature) in enumerate(zip([*peers, x.leader], [*x.all("feature"), x.feature0])):
            setattr(network, f"layer3_{j}", lambda f, feature=feature: feature)
            setattr(network, f"classifier3_{j}", lambda f, peer=peer: peer.detach())
        targets = up.okddip("models/model_cifar/resnet_GL").ResNet.forward(network, x.feature0)[1]
        targets = targets if form == "attention" else targets.detach()
        own = sum(kl(peer, targets[:, :, j], temperature) for j, peer in enumerate(peers))
        return own + kl(x.leader, torch.stack(peers, 2).mean(2).detach(), temperature)

    two = lambda case: len(case.inputs) == 2
    added = "it adds 1e-7 to the target's probabilities; detached here"
    without = "the same without 1e-7"
    return [
        row("dml", "Zoo DML", dml_zoo, where=two),
        row("dml", "OKDDip KL_Loss", partial(dml, published_kl), added),
        row("dml", "torch kl_div", partial(dml, exact_kl)),
        row("one", "OKDDip resnet_one, KL_Loss", partial(one, published_kl), added),
        row("one", "OKDDip resnet_one, torch kl_div", partial(one, exact_kl), without),
        row("okddip", "OKDDip resnet_GL, KL_Loss", partial(okddip, published_kl), added),
        row("okddip", "OKDDip resnet_GL, torch kl_div", partial(okddip, exact_kl), without),
    ]


def own_rows(up):
    def tf_self(x, alpha, temperature, multiplier, form):
        params = types.SimpleNamespace(alpha=alpha, temperature=temperature, multiplier=multiplier)
        return up.tf_kd().loss_kd_self(x.student, x.labels, x.teacher, params)

    def tf_virtual(x, alpha, temperature, correct_probability, multiplier, form):
        params = types.SimpleNamespace(reg_alpha=alpha, reg_temperature=temperature, multiplier=multiplier)
        return up.tf_kd().loss_kd_regularization(x.student, x.labels, params)

    def cs_kd(x, temperature, **weight):
        loss = up.definition("cs-kd", "train.py", "KDLoss")(temperature)
        return F.cross_entropy(x.student, x.labels) + weight["lambda"] * loss(x.student, x.partner)

    def ps_kd(x, alpha):
        loss = up.module("PS-KD-Pytorch", "loss/pskd_loss").Custom_CrossEntropy_PSKD()
        target = (1 - alpha) * F.one_hot(x.labels, x.student.shape[1]).double() + alpha * x.previous.softmax(1)
        return loss(x.student, target)

    mean = {"form": "element_mean"}
    return [
        row("tf_kd_self", "Tf-KD loss_kd_self", tf_self, **mean),
        row("tf_kd_virtual", "Tf-KD loss_kd_regularization", tf_virtual, **mean),
        row("cs_kd", "cs-kd KDLoss", cs_kd),
        row("ps_kd", "PS-KD Custom_CrossEntropy_PSKD", ps_kd),
    ]


def relative(pairs):
    """Largest difference of pairs of tensors over the largest element of any; not divided if all are below 1e-9."""
    scale = max(max(a.abs().max().item(), b.abs().max().item()) for a, b in pairs)
    return max((a - b).abs().max().item() for a, b in pairs) / (scale if scale > 1e-9 else 1)


def compare(case, function):
    """Relative differences of the value (and further results) and of the gradients."""
    value, gradient, extra, _ = case.evaluate()
    with on_cpu():
        published, published_gradient, published_extra, _ = case.evaluate(function)
    results = [(value, published.squeeze())] + [(extra[n], e) for n, e in published_extra.items()]
    return max(relative([pair]) for pair in results), relative([(gradient[n], published_gradient[n]) for n in gradient])


def table(cases, root):
    """Lines of a Markdown table."""
    up = Sources(root)
    result = ["| loss | implementation | cases | value | gradient | |", "|---|---|---|---|---|---|"]
    for make in (logit_rows, feature_rows, relation_rows, online_rows, own_rows):
        for loss, implementation, function, why, where in make(up):
            chosen = [case for case in cases if case.loss == loss and where(case)]
            try:
                differences = [compare(case, function) for case in chosen]
            except FileNotFoundError as error:
                result.append(f"| {loss} | {implementation} | 0 | | | not compared: {error} |")
                continue
            value, gradient = (max(column) for column in zip(*differences))
            result.append(f"| {loss} | {implementation} | {len(chosen)} | {value:.1e} | {gradient:.1e} | {why} |")
    return result + [f"| {loss} | | 0 | | | not compared: {why} |" for loss, why in NOT_COMPARED.items()]
