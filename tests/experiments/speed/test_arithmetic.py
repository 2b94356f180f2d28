"""What a device's speed is measured by."""

import jax
import jax.numpy as jnp
import pytest

from experiments.speed import arithmetic


@pytest.mark.parametrize(("platform", "together"), [("cpu", 1), ("gpu", 4)])
def test_devices_that_share_no_cores_add_up(monkeypatch, platform, together):
    device = type("Device", (), {"platform": platform})
    monkeypatch.setattr(jax, "local_devices", lambda: [device] * 4)
    monkeypatch.setattr(jax, "local_device_count", lambda: 4)
    monkeypatch.setattr(jax, "device_put", lambda x, device: jnp.ones(()))
    monkeypatch.setattr(arithmetic, "take_turns", lambda work, rounds: {"product": [1.0]})
    monkeypatch.setattr(arithmetic, "_PRODUCT_SIZE", dict.fromkeys(("cpu", "gpu"), 1000))
    assert arithmetic.product_gigaflops() == together * 2
