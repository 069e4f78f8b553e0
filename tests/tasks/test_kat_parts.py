"""The parts of the Kolmogorov-Arnold transformer: coefficients, networks, how they start."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from scipy.interpolate import BSpline
from torch import Tensor, nn

from tasks.blocks.decoder import Decoder, DecoderConfig
from tasks.blocks.layers import Attention
from tasks.blocks.training import generator
from tasks.blocks.vit import SelfAttention, ViT, ViTConfig
from tasks.kan.kat_group_rational import coefficients
from tasks.kan.kat_group_rational.coefficients import GELU, IDENTITY, SWISH, Coefficients
from tasks.kan.kat_group_rational.initialisation import initialize, mimetic
from tasks.kan.kat_group_rational.methods import DESIGNS
from tasks.kan.kat_group_rational.mlp import GeluMLP, GroupRational, RationalMLP, make_mlp
from tasks.kan.kat_group_rational.spline import BASES, SplineLayer, cubic_bases

GRID = np.linspace(-3.0, 3.0, 2001)


def seed_for(purpose: str) -> int:
    return sum(purpose.encode())


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def build(method: str, width: int = 32, attention: str = "normal") -> ViT:
    config = ViTConfig(shape=(1, 8, 8), patch=4, num_classes=10, width=width, depth=2, head_dim=8)
    model = ViT(config, lambda: make_mlp(DESIGNS[method], width, 8))
    initialize(model, seed_for, attention=attention, variance_preserving=DESIGNS[method].variance_preserving)
    return model


@pytest.mark.parametrize(
    ("start", "target", "worst"), [(SWISH, coefficients.swish, 5e-6), (GELU, coefficients.gelu, 2.7e-3)], ids=["swish", "gelu"]
)
def test_the_rationals_are_what_they_are_called(start: Coefficients, target: coefficients.Floats, worst: float) -> None:
    assert np.abs(start(GRID) - target(GRID)).max() < worst
    fitted = coefficients.fit(target)
    assert fitted.numerator == pytest.approx(start.numerator, rel=1e-4, abs=1e-6)
    assert fitted.denominator == pytest.approx(start.denominator, rel=1e-4, abs=1e-6)


def test_swish_agrees_with_the_published_coefficients() -> None:
    assert SWISH.numerator == pytest.approx((0, 0.5, 0.25, 0.0533, 0.0058, 0.0003), abs=5e-5)
    assert SWISH.denominator == pytest.approx((0, 0.1065, 0, 0.0006), abs=5e-5)


def test_known_values_of_the_targets() -> None:
    assert coefficients.gelu(np.array([1.0]))[0] == pytest.approx(0.8413447460685429)
    assert coefficients.swish(np.array([1.0]))[0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_gains_are_those_that_the_paper_prints() -> None:
    assert coefficients.gain(IDENTITY) == pytest.approx(1.0)
    assert coefficients.gain(lambda x: np.maximum(x, 0.0)) == pytest.approx(2.0)
    assert coefficients.gain(coefficients.gelu) == pytest.approx(2.3568, abs=0.01)
    assert coefficients.gain(SWISH) == pytest.approx(2.8178, abs=0.01)


@pytest.mark.parametrize("groups", [1, 4])
def test_a_rational_module_evaluates_its_start(groups: int) -> None:
    x = torch.linspace(-3, 3, 40).view(5, 8)
    for start in (IDENTITY, SWISH, GELU):
        module = GroupRational(start, groups)
        torch.testing.assert_close(module(x), torch.from_numpy(start(x.double().numpy())).float(), atol=1e-6, rtol=1e-5)
    assert count(GroupRational(SWISH, groups)) == 6 + 4 * groups


def test_a_channel_takes_the_denominator_of_its_own_group() -> None:
    """Groups are runs of neighbouring channels, the first one first; every group differs, so that no other order passes."""
    width, groups = 12, 4
    module = GroupRational(SWISH, groups)
    with torch.no_grad():
        module.denominator.copy_(torch.arange(1.0, 17.0).view(groups, 4) / 10)
    x = torch.linspace(-2, 2, 5 * width).view(5, width)
    wanted = np.empty((5, width))
    for channel in range(width):
        group = channel // (width // groups)
        own = Coefficients(SWISH.numerator, tuple((1.0 + 4 * group + np.arange(4)) / 10))
        wanted[:, channel] = own(x[:, channel].double().numpy())
    np.testing.assert_allclose(module(x).detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    module(x)[:, 3:6].sum().backward()
    assert module.denominator.grad is not None
    assert (module.denominator.grad != 0).any(1).tolist() == [False, True, False, False]


def test_every_rational_coefficient_learns_from_the_first_step() -> None:
    """The identity starts at b = 0, where a subgradient of 0 would hold it for ever."""
    module = GroupRational(IDENTITY, 4)
    x = torch.randn(64, 8, generator=generator(0))
    module(x).pow(3).sum().backward()
    assert module.numerator.grad is not None
    assert module.denominator.grad is not None
    assert bool((module.numerator.grad != 0).all())
    assert bool((module.denominator.grad != 0).all())


def test_an_activation_comes_before_each_linear_map() -> None:
    mlp = make_mlp(DESIGNS["kat-released"], 8, 4)
    assert isinstance(mlp, RationalMLP)
    x = torch.randn(3, 8, generator=generator(0))
    wanted = F.linear(F.silu(F.linear(x, mlp.fc1.weight, mlp.fc1.bias)), mlp.fc2.weight, mlp.fc2.bias)
    torch.testing.assert_close(mlp(x), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("width", [32, 64, 192, 768])
def test_all_methods_have_the_parameters_of_the_gelu_mlp(width: int) -> None:
    base = count(make_mlp(DESIGNS["mlp-gelu"], width, 8))
    assert base == 8 * width**2 + 5 * width
    for method, design in DESIGNS.items():
        extra = count(make_mlp(design, width, 8)) - base
        if design.mlp == "rational":
            assert extra == (76 if design.grouped else 20), method
        else:
            assert abs(extra) <= (3 * width / 2 if design.mlp == "swiglu" else 9 * width), method


def test_bases_are_cubic_b_splines() -> None:
    x = torch.linspace(-3.0, 3.0, 301, dtype=torch.float64)
    found = cubic_bases(x)
    knots = -3.0 + 1.2 * np.arange(-3, 9)
    for k in range(BASES):
        wanted = BSpline.basis_element(knots[k : k + 5], extrapolate=False)(x.numpy())
        np.testing.assert_allclose(found[:, k].numpy(), np.nan_to_num(wanted), atol=1e-12)
    torch.testing.assert_close(found.sum(-1), torch.ones_like(x))
    assert bool((cubic_bases(torch.tensor([-7.0, 7.0])) == 0).all())


def test_a_spline_layer_can_be_any_cubic_on_each_input() -> None:
    """Cubic splines hold every cubic: least squares of the coefficients meets it to rounding, summed over the inputs."""
    layer = SplineLayer(2, 1).double()
    x = 6.0 * torch.rand(200, 2, generator=generator(0), dtype=torch.float64) - 3.0
    wanted = x[:, :1] ** 3 - 2.0 * x[:, 1:] ** 2 + x[:, 1:]
    with torch.no_grad():
        layer.base.weight.zero_()
        solved = torch.linalg.lstsq(cubic_bases(x).flatten(-2), wanted, driver="gelsd").solution
        layer.splines.weight.copy_(solved.T)
        torch.testing.assert_close(layer(x), wanted, atol=1e-8, rtol=0)


def test_methods_of_one_seed_share_their_random_numbers() -> None:
    models = {method: dict(build(method).named_parameters()) for method in DESIGNS}
    for method, parameters in models.items():
        for name in ("embedding.project.weight", "embedding.positions", "blocks.1.attention.qkv.weight", "head.weight"):
            assert torch.equal(parameters[name], models["mlp-gelu"][name]), (method, name)
    for method in ("kat-released", "kat-gelu", "kat-ungrouped"):
        assert torch.equal(models[method]["blocks.0.mlp.fc2.weight"], models["mlp-gelu"]["blocks.0.mlp.fc2.weight"])
    other = dict(ViT(build("mlp-gelu").config, lambda: GeluMLP(32)).named_parameters())
    assert not torch.equal(other["head.weight"], models["mlp-gelu"]["head.weight"])


@torch.no_grad()
@pytest.mark.parametrize("method", ["mlp-gelu-vp", "kat-vp"])
def test_the_working_start_preserves_variance_and_the_released_one_does_not(method: str) -> None:
    x = torch.randn(2000, 256, generator=generator(0))
    kept, lost = build(method, width=256), build(method.replace("gelu-vp", "gelu").replace("-vp", "-released"), width=256)
    mlp = kept.blocks[0].mlp
    assert float(mlp.fc1(x).std()) == pytest.approx(1.0, rel=0.03)
    assert float(mlp(x).std()) == pytest.approx(1.0, rel=0.06)
    assert float(lost.blocks[0].mlp(x).std()) < 0.2
    for name in ("blocks.0.attention.qkv.weight", "head.weight"):
        assert torch.equal(kept.get_parameter(name), lost.get_parameter(name)), "only the mlp starts otherwise"


def test_the_working_start_is_defined_where_its_gain_is() -> None:
    model = build("mlp-swiglu")
    with pytest.raises(TypeError, match="SwiGLU"):
        initialize(model, seed_for, attention="normal", variance_preserving=True)


@pytest.mark.parametrize("kind", [Attention, SelfAttention])
def test_mimetic_attention_has_the_products_of_trained_ones(kind: type) -> None:
    width, head_dim = 128, 128
    attention = kind(width, head_dim)
    mimetic(attention, generator(0))
    query, key, value = attention.qkv.weight.detach().view(3, width, width)
    scores, mixing = query.T @ key, attention.out.weight.detach() @ value

    def parts(product: Tensor) -> tuple[float, float]:
        """Mean of the diagonal, and RMS of the rest in units of 1/sqrt(width)."""
        rest = product - torch.diag(product.diag())
        return float(product.diag().mean()), float(rest.square().mean().sqrt()) * math.sqrt(width)

    assert parts(scores) == pytest.approx((0.7, 0.7), rel=0.05)
    assert parts(mixing) == pytest.approx((-0.4, 0.4), rel=0.05)


def test_narrow_heads_keep_the_largest_directions() -> None:
    attention = SelfAttention(32, 8)
    mimetic(attention, generator(0))
    query, key, _ = attention.qkv.weight.detach().view(3, 4, 8, 32)
    for head in range(4):
        values = torch.linalg.svdvals(query[head].T @ key[head])
        assert float(values[7]) > 0.5
        assert float(values[8]) < 1e-5


def test_patches_are_cut_row_by_row() -> None:
    config = ViTConfig(shape=(2, 4, 6), patch=2, num_classes=3, width=8, depth=1, head_dim=4)
    model = ViT(config, lambda: nn.Identity())
    assert config.patches == 6
    images = torch.arange(48, dtype=torch.float32).view(1, 2, 4, 6)
    with torch.no_grad():
        model.embedding.project.weight.copy_(torch.eye(8))
        model.embedding.project.bias.zero_()
        patches = model.embedding(images)[0]
    for index in range(6):
        row, column = divmod(index, 3)
        wanted = images[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(-1)
        assert torch.equal(patches[index], wanted)


def test_without_positions_the_order_of_patches_does_not_matter() -> None:
    model = build("kat-vp")
    images = torch.randn(2, 1, 8, 8, generator=generator(0))
    swapped = torch.cat([images[..., 4:], images[..., :4]], dim=-1)
    assert not torch.allclose(model(images), model(swapped), atol=1e-6)
    with torch.no_grad():
        model.embedding.positions.zero_()
    torch.testing.assert_close(model(images), model(swapped), atol=1e-5, rtol=1e-4)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="patches of 3 do not divide an image of 8 x 8"):
        ViTConfig(shape=(1, 8, 8), patch=3, num_classes=2, width=8, depth=1, head_dim=4)
    with pytest.raises(ValueError, match="not a multiple of head_dim"):
        ViTConfig(shape=(1, 8, 8), patch=4, num_classes=2, width=9, depth=1, head_dim=4)


def test_a_decoder_takes_another_mlp_and_is_causal_with_it() -> None:
    config = DecoderConfig(vocab_size=11, width=16, depth=2, head_dim=8, length=12)
    model = Decoder(config, lambda: make_mlp(DESIGNS["kat-released"], 16, 4))
    assert all(isinstance(block.mlp, RationalMLP) for block in model.blocks)
    tokens = torch.randint(0, 11, (1, 12), generator=generator(0))
    changed = tokens.clone()
    changed[0, 8:] = (changed[0, 8:] + 1) % 11
    assert torch.allclose(model(tokens)[:, :8], model(changed)[:, :8], atol=1e-6)
    assert not torch.allclose(model(tokens)[:, 8:], model(changed)[:, 8:], atol=1e-3)
