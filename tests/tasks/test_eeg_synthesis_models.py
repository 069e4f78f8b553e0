"""The networks and what they are trained for, against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tasks.blocks.training import generator
from tasks.eeg.eeg_artifact_synthesis.adversarial import Adversarial, Critic, Generator, gradient_penalty
from tasks.eeg.eeg_artifact_synthesis.diffusion import LEVELS, Diffusion, ddim, guided, released_sampler, scheduler
from tasks.eeg.eeg_artifact_synthesis.labelled_windows import Labelled
from tasks.eeg.eeg_artifact_synthesis.learner import Batches
from tasks.eeg.eeg_artifact_synthesis.methods import DDPM, Denoising
from tasks.eeg.eeg_artifact_synthesis.training import step_flops
from tasks.eeg.eeg_artifact_synthesis.unet import UNet, time_embedding

V, NOISE = Denoising("v", "cosine", True), Denoising("noise", "linear", True)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def batches(n: int = 20, channels: int = 2, samples: int = 16, classes: int = 3) -> Batches:
    draw = generator(1)
    return Batches(Labelled(torch.randn(n, channels, samples, generator=draw), torch.arange(n) % classes), generator(2))


def test_the_penalty_of_a_linear_critic_is_its_slope_s_distance_from_one() -> None:
    weight = torch.randn(2, 16, dtype=torch.float64)
    real, fake = torch.randn(5, 2, 16, dtype=torch.float64), torch.randn(5, 2, 16, dtype=torch.float64)
    y, mix = torch.zeros(5, dtype=torch.int64), torch.rand(5, 1, 1, dtype=torch.float64)
    penalty = gradient_penalty(lambda x, _: (x * weight).sum((1, 2)), real, fake, y, mix)
    assert float(penalty.detach()) == pytest.approx((float(weight.norm()) - 1.0) ** 2)


def test_the_penalty_is_taken_between_real_and_fake() -> None:
    """D = |x|^2 / 2 has the slope x, which at mix m is m real + (1 - m) fake."""
    real, fake = torch.full((1, 1, 4), 3.0), torch.zeros(1, 1, 4)
    y = torch.zeros(1, dtype=torch.int64)
    for mix in (0.0, 0.25, 1.0):
        penalty = gradient_penalty(lambda x, _: 0.5 * x.square().sum((1, 2)), real, fake, y, torch.full((1, 1, 1), mix))
        assert float(penalty.detach()) == pytest.approx((mix * 3.0 * 2.0 - 1.0) ** 2)


def test_the_penalty_reaches_the_critic_s_weights() -> None:
    scale = torch.tensor(3.0, requires_grad=True)
    x = torch.randn(4, 1, 9)
    gradient_penalty(lambda x, _: scale * x.sum((1, 2)) / 3.0, x, x + 1.0, torch.zeros(4), torch.rand(4, 1, 1)).backward()
    assert scale.grad is not None
    assert float(scale.grad) == pytest.approx(2.0 * (3.0 - 1.0)), "d (|s| - 1)^2 / d s, the slope's norm being |s|"


def test_the_critic_scores_by_a_projection() -> None:
    critic = Critic(2, 3, 4).double()
    x, y = torch.randn(6, 2, 16, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 1, 0])
    phi = critic.features(x).mean(2)
    expected = (
        phi @ critic.score.weight[0]
        + critic.score.bias
        + torch.stack([row @ critic.embedding.weight[k] for row, k in zip(phi, y, strict=True)])
    )
    torch.testing.assert_close(critic(x, y), expected)


@pytest.mark.parametrize("samples", [250, 256, 320, 500])
def test_the_generator_fills_windows_of_any_length(samples: int) -> None:
    made = Generator(8, 3, (2, samples), 4)(torch.randn(5, 8), torch.tensor([0, 1, 2, 0, 1]))
    assert made.shape == (5, 2, samples)
    assert float(made[..., -2:].detach().abs().min(1).values.max()) > 0.0


def test_critic_and_generator_learn_from_opposite_ends() -> None:
    """The critic widens the distance between real and fake; the generator's step moves no weight of the critic."""
    data = batches()
    gan = Adversarial(Generator(4, 3, (2, 16), 4), Critic(2, 3, 4), data, latent=4, batch=8, lr=1e-2, critic_steps=1, penalty=10.0)
    before = {name: value.clone() for name, value in gan.critic.state_dict().items()}
    gan._critic_step()
    after = {name: value.clone() for name, value in gan.critic.state_dict().items()}
    assert any(not torch.equal(before[name], after[name]) for name in before)
    y = data.windows.y
    fake = gan.generator(torch.zeros(len(y), 4), y)
    loss = -gan.critic(fake, y).mean()
    gan._update("generator", loss)
    assert all(torch.equal(after[name], value) for name, value in gan.critic.state_dict().items())
    assert float(-gan.critic(gan.generator(torch.zeros(len(y), 4), y), y).mean().detach()) < float(loss.detach())


@pytest.mark.parametrize("method", list(DDPM))
def test_noise_v_and_signal_convert_exactly(method: str) -> None:
    """From x_t and the right target, one DDIM step to level 0 gives back the signal."""
    design = DDPM[method]
    rule = scheduler(design, 100.0)
    x, noise = torch.randn(3, 2, 8, dtype=torch.float64), torch.randn(3, 2, 8, dtype=torch.float64)
    level = 400
    a = rule.alphas_cumprod[level].double()
    levels = torch.full((3,), level)
    noisy = rule.add_noise(x, noise, levels)
    torch.testing.assert_close(noisy, a.sqrt() * x + (1 - a).sqrt() * noise, rtol=1e-6, atol=1e-6)
    v = rule.get_velocity(x, noise, levels)
    torch.testing.assert_close(v, a.sqrt() * noise - (1 - a).sqrt() * x, rtol=1e-6, atol=1e-6)
    rule.set_timesteps(10)
    found = rule.step(v if design.objective == "v" else noise, level, noisy, eta=0.0).pred_original_sample
    torch.testing.assert_close(found, x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("design", [V, NOISE])
def test_the_best_denoiser_of_gaussian_data_gives_gaussian_data_back(design: Denoising) -> None:
    """For data N(m, s^2): E[x | x_t] = m + sqrt(a) s^2 / (a s^2 + 1 - a) (x_t - sqrt(a) m), from which noise and v follow."""
    mean, deviation, rule = 1.5, 0.5, scheduler(design, 100.0)

    def predict(x: Tensor, levels: Tensor) -> Tensor:
        a = rule.alphas_cumprod.double()[levels].reshape(-1, 1, 1)
        signal = mean + a.sqrt() * deviation**2 / (a * deviation**2 + 1 - a) * (x - a.sqrt() * mean)
        noise = (x - a.sqrt() * signal) / (1 - a).sqrt()
        return a.sqrt() * noise - (1 - a).sqrt() * signal if design.objective == "v" else noise

    start = torch.randn(4000, 1, 2, dtype=torch.float64, generator=generator(3))
    made = ddim(predict, start, design, 200, 100.0)
    # The map from noise to data is the linear one; what is left is the error of 200 steps.
    torch.testing.assert_close(made, mean + deviation * start, atol=0.05, rtol=0.0)
    assert float(made.mean()) == pytest.approx(mean, abs=0.03)
    assert float(made.std()) == pytest.approx(deviation, abs=0.02)


def test_the_estimated_signal_stays_within_the_bound() -> None:
    """A network whose noise is 0 everywhere estimates x / sqrt(a), 157 times the noise it starts from."""
    start = torch.randn(100, 1, 4, dtype=torch.float64, generator=generator(4))
    assert float(ddim(lambda x, _: torch.zeros_like(x), start, NOISE, 50, 1e9).std()) > 100.0
    assert float(ddim(lambda x, _: torch.zeros_like(x), start, NOISE, 50, 3.0).abs().max()) <= 3.0


def test_the_released_sampler_keeps_most_of_the_noise() -> None:
    """Data that are all 0, and a network whose output, misread as the sampler does, is the true noise x / sqrt(1 - a).

    DDIM leaves nothing. The released steps from t to t - 1 each leave sqrt((1 - a_{t-1}) / (1 - a_t)), and 951 of 1,000 are not taken.
    """
    signal = scheduler(V, 100.0).alphas_cumprod.double()

    def misread(x: Tensor, levels: Tensor) -> Tensor:
        a = signal[levels].reshape(-1, 1, 1)
        return (x / (1 - a).sqrt() - x) * (1 - a).sqrt() / a.sqrt()

    def right(x: Tensor, levels: Tensor) -> Tensor:
        a = signal[levels].reshape(-1, 1, 1)
        return a.sqrt() / (1 - a).sqrt() * x

    start = torch.randn(500, 1, 4, dtype=torch.float64, generator=generator(4))
    assert float(ddim(right, start, V, 50, 100.0).std()) < 1e-6
    visited = torch.linspace(0, LEVELS - 1, 50).long()[1:]
    left = float(((1 - signal[visited - 1]) / (1 - signal[visited])).sqrt().prod())
    assert 0.7 < left < 0.95
    torch.testing.assert_close(released_sampler(misread, start, 50), left * start, rtol=1e-3, atol=0.0)
    seen: list[int] = []

    def record(x: Tensor, levels: Tensor) -> Tensor:
        seen.append(int(levels[0]))
        return torch.zeros_like(x)

    released_sampler(record, start, 50)
    assert len(seen) == 49
    assert seen[0] == LEVELS - 1
    assert min(seen) > 1, "level 0 is left as it is"


def test_guidance_moves_the_answer_away_from_the_null_label() -> None:
    def network(x: Tensor, _: Tensor, y: Tensor) -> Tensor:
        return x + y.reshape(-1, 1, 1).to(x.dtype)

    x, y, levels = torch.randn(4, 1, 3), torch.tensor([0, 1, 2, 1]), torch.zeros(4)
    for weight in (0.0, 1.0, 2.5):
        expected = x + (9 + weight * (y - 9)).reshape(-1, 1, 1)
        torch.testing.assert_close(guided(network, y, 9, weight)(x, levels), expected)


def test_labels_are_hidden_as_often_as_asked() -> None:
    seen: list[Tensor] = []
    model = UNet((2, 16), 3, 4, 1, skips=True)
    model.register_forward_pre_hook(lambda _, args: seen.append(args[2]))
    for dropped, expected in ((0.0, 0.0), (1.0, 1.0)):
        seen.clear()
        Diffusion(model, V, batches(), batch=16, lr=1e-3, ema=0.9, dropped=dropped, guidance=1.0, steps=2).step(0)
        assert float((seen[0] == 3).float().mean()) == expected


@pytest.mark.parametrize(("method", "reaches"), [("ddpm-v", True), ("ddpm-v-no-skips", False)])
def test_only_skips_carry_the_encoder_to_the_decoder_past_the_bottleneck(method: str, reaches: bool) -> None:
    model = UNet((2, 16), 3, 4, 1, skips=DDPM[method].skips)
    nn.init.zeros_(model.middle.second.weight)
    assert model.middle.second.bias is not None
    with torch.no_grad():
        model.middle.second.bias.zero_()
        model.middle.first_film.linear.weight.zero_()
    model.middle.forward = lambda x, condition: torch.zeros_like(x)  # type: ignore[method-assign]
    x = torch.randn(1, 2, 16)
    y, level = torch.zeros(1, dtype=torch.int64), torch.zeros(1)
    moved = not torch.allclose(model(x, level, y), model(x + 1.0, level, y))
    assert moved is reaches


@pytest.mark.parametrize("skips", [True, False])
def test_the_u_net_keeps_windows_that_do_not_halve_twice(skips: bool) -> None:
    torch.manual_seed(0)
    model = UNet((2, 250), 5, 4, 1, skips=skips)
    x, levels, y = torch.randn(3, 2, 250), torch.tensor([0.0, 5.0, 9.0]), torch.tensor([0, 1, 5])
    longer = torch.cat([x, x[..., -1:], x[..., -1:]], -1)
    assert torch.equal(model(x, levels, y), model(longer, levels, y)[..., :250]), "as if the last sample went on"


def test_the_labels_of_noise_levels_are_apart() -> None:
    embedded = time_embedding(torch.tensor([0, 1, 500, 999]))
    assert embedded.shape == (4, 128)
    assert torch.equal(embedded[0], torch.cat([torch.zeros(64), torch.ones(64)]))
    assert float(torch.cdist(embedded, embedded).fill_diagonal_(9.0).min()) > 0.5


def test_the_average_of_weights_follows_them() -> None:
    trained = Diffusion(UNet((2, 16), 3, 4, 1, skips=True), V, batches(), batch=4, lr=1e-2, ema=0.999, dropped=0.1, guidance=1.0, steps=2)
    first = trained.average.leave.weight.clone()
    trained.step(0)
    expected = first + (1.0 - 2.0 / 11.0) * (trained.model.leave.weight - first)
    torch.testing.assert_close(trained.average.leave.weight, expected)


def test_flops_of_a_step_count_forward_and_backward() -> None:
    class OneConvolution:
        def __init__(self, *, penalised: bool) -> None:
            self.layer, self.penalised = nn.Conv1d(2, 3, 5, padding=2), penalised

        def step(self, index: int) -> Tensor:
            x = torch.randn(4, 2, 16)
            if self.penalised:
                loss = gradient_penalty(lambda x, _: self.layer(x).square().sum((1, 2)), x, x, torch.zeros(4), torch.rand(4, 1, 1))
            else:
                loss = self.layer(x).square().sum()
            loss.backward()
            return loss

    forward = 2 * 4 * 16 * 2 * 3 * 5
    assert step_flops(OneConvolution(penalised=False)) == 2 * forward, "forward and the weights; no gradient of the input is asked for"
    # forward; its gradient by the input; that gradient's own two (by its factor and by the weights); forward's weights once more
    counted = step_flops(OneConvolution(penalised=True))
    assert 5 * forward <= counted <= 8 * forward


def test_flops_count_all_steps_of_the_critic() -> None:
    def gan(critic_steps: int) -> Adversarial:
        return Adversarial(
            Generator(4, 3, (2, 16), 4), Critic(2, 3, 4), batches(), latent=4, batch=8, lr=1e-2, critic_steps=critic_steps, penalty=10.0
        )

    one, two, five = (step_flops(gan(count)) for count in (1, 2, 5))
    assert five - one == 4 * (two - one)
    with FlopCounterMode(display=False) as forward:
        gan(1).generator(torch.randn(8, 4), torch.zeros(8, dtype=torch.int64))
    assert two - one > 4 * forward.get_total_flops()
