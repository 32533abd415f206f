"""Which tasks each family trains and tests on: the recorded lists, other seeds, counts that cannot be."""

from pathlib import Path

import numpy as np
import pytest

from oyster.envs import families, load_family
from oyster.envs.family import TASK_SEED
from oyster.runtime.errors import InputError

GOLDEN = Path(__file__).parents[1] / "golden" / "families"
FIELDS = ("body_mass", "body_inertia", "dof_damping", "geom_friction")
DIRECTIONS = ("ant-dir", "ant-dir-non-stat", "cheetah-dir", "cheetah-dir-non-stat")
FIXED_TESTS = {"cheetah-vel-ood": 5, "ant-goal-ood": 4}
VARIANTS = {"cheetah-multi-task": 7, "ant-multi-task": 9}


def golden(name: str):
    return np.load(GOLDEN / f"{name.replace('-', '_')}.npz")


@pytest.mark.parametrize(
    "name",
    [
        "ant-goal",
        "cheetah-vel-non-stat",
        "humanoid-dir",
        "mountain-car-continuous",
        "pendulum",
        *FIXED_TESTS,
        *VARIANTS,
        *DIRECTIONS,
    ],
)
def test_lists_are_the_recorded_ones(name):
    file, family = golden(name), load_family(name)
    expected = file["tasks_forward_backward"] if name == "ant-dir" else file["tasks"]
    if name in DIRECTIONS:
        train, test = family.tasks(2, 2)
        np.testing.assert_array_equal(train, expected)
        np.testing.assert_array_equal(test, expected)
        return
    num_train = int(file["num_train"]) if "num_train" in file else len(expected) - 3
    train, test = family.tasks(num_train, len(expected) - num_train)
    np.testing.assert_array_equal(np.concatenate([train, test]), expected)
    assert len(train) == num_train


def test_uniform_directions_are_the_recorded_ones():
    train, test = load_family("ant-dir-uniform").tasks(100, 30)
    np.testing.assert_array_equal(np.concatenate([train, test]), golden("ant-dir")["tasks_uniform"])


@pytest.mark.parametrize("name", ["walker-rand-params", "hopper-rand-params"])
def test_random_parameters_are_the_recorded_ones_field_after_field(name):
    family, file = load_family(name), golden(name)
    tasks = np.concatenate(family.tasks(40, 10))
    expected = np.concatenate([file[f"tasks/{field}"].reshape(50, -1) for field in FIELDS], axis=1)
    np.testing.assert_array_equal(tasks, expected)
    assert tasks.shape == (50, family.task_dim) and family.parameter_names == ()
    model = family.physics_model()
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(model, field), file[f"initial/{field}"])


@pytest.mark.parametrize("name", families())
def test_no_list_of_another_seed_holds_a_test_task(name):
    family = load_family(name)
    _, test = family.tasks(*family.task_counts)
    try:
        lists = [np.concatenate(family.tasks(*family.task_counts, seed)) for seed in (0, 1, 2)]
    except InputError as error:
        assert name in (*DIRECTIONS, *FIXED_TESTS) and str(TASK_SEED) in str(error)
        return
    for one in lists:
        assert not (one[:, None] == test[None]).all(axis=2).any()
    assert not np.array_equal(lists[0], lists[1])


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("asked", [(2, 1), (3, 2), (4, 4)])
def test_two_directions_are_two(name, asked):
    with pytest.raises(InputError, match=r"has 2 tasks.*train_tasks and test_tasks 2"):
        load_family(name).tasks(*asked)


@pytest.mark.parametrize("name, count", FIXED_TESTS.items())
def test_a_fixed_test_list_is_cut_and_never_longer(name, count):
    family = load_family(name)
    train, test = family.tasks(9, count)
    assert len(train) == 9 and len(test) == count
    np.testing.assert_array_equal(family.tasks(9, 2)[1], test[:2])
    with pytest.raises(InputError, match=f"test_tasks of at most {count}"):
        family.tasks(9, count + 1)
    with pytest.raises(InputError, match="task_seed 1337"):
        family.tasks(9, count, seed=1)


def test_training_tasks_lie_where_the_test_tasks_do_not():
    velocities = load_family("cheetah-vel-ood").tasks(500, 5)[0][:, 0]
    low, high = velocities[velocities < 1], velocities[velocities > 1]
    assert 200 < len(low) < 300 and low.max() <= 0.5 and high.min() >= 3.0 and high.max() <= 3.5
    radii = np.linalg.norm(load_family("ant-goal-ood").tasks(500, 4)[0], axis=1)
    near, far = radii[radii < 2], radii[radii > 2]
    assert near.max() <= 1.0 and far.min() >= 2.5 and far.max() <= 3.0
    assert len(near) / 500 == pytest.approx(4 / 15, abs=0.06)  # uniform by area


@pytest.mark.parametrize("name, count", VARIANTS.items())
def test_variants_have_equally_many_tasks(name, count):
    family = load_family(name)
    for seed in (TASK_SEED, 5):
        train, test = family.tasks(3 * count, 2 * count, seed)
        np.testing.assert_array_equal(train[:, 0], np.repeat(np.arange(count), 3))
        np.testing.assert_array_equal(test[:, 0], np.repeat(np.arange(count), 2))
        assert np.abs(train[:, 1:]).sum(axis=1).min() >= 0.5
    for asked in [(count + 1, count), (count, count - 1)]:
        with pytest.raises(InputError, match=f"multiples of {count}, as {2 * count} and {count}"):
            family.tasks(*asked)
