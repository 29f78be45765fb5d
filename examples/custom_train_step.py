"""Two models that take training steps of their own, within `fit`.

`Mixed` learns from blends of two pictures and of their labels, with metrics it keeps itself.
`Adversaries` is a GAN with two optimizers, which learns where a cloud of points lies.

Run it: python examples/custom_train_step.py
With Keras: change the line `import stroma as keras` to `import keras` (KERAS_BACKEND=torch).
"""

import numpy as np
import torch
from sklearn.datasets import load_digits

import stroma as keras

layers = keras.layers
keras.utils.set_random_seed(8)


class Mixed(keras.Model):
    """Trained on x = a x1 + (1 - a) x2 with the labels blended alike."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.blends = keras.metrics.Mean(name="blend")

    @property
    def metrics(self):
        return [self.loss_tracker, self.blends]  # begun anew at every epoch

    def train_step(self, data):
        x, y = data
        blend = float(np.random.beta(0.3, 0.3))
        other = torch.randperm(len(x))
        x = blend * x + (1 - blend) * x[other]
        y = blend * y + (1 - blend) * y[other]

        self.zero_grad()
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        loss.backward()
        trainable_weights = list(self.trainable_weights)
        gradients = [
            weight.value.grad if hasattr(weight, "value") else weight.grad
            for weight in trainable_weights
        ]
        with torch.no_grad():
            self.optimizer.apply(gradients, trainable_weights)

        self.loss_tracker.update_state(loss.detach())
        self.blends.update_state(blend)
        return {metric.name: metric.result() for metric in self.metrics}


digits = load_digits()
order = np.random.default_rng(8).permutation(len(digits.target))
x = (digits.data / 16).astype("float32")[order]
y = keras.utils.to_categorical(digits.target[order], 10).astype("float32")

inputs = keras.Input(shape=(64,))
hidden = layers.Dense(64, activation="relu")(inputs)
outputs = layers.Dense(10, activation="softmax")(hidden)
mixed = Mixed(inputs, outputs)
mixed.compile(optimizer=keras.optimizers.Adam(0.003), loss="categorical_crossentropy")
history = mixed.fit(x[:1400], y[:1400], batch_size=32, epochs=20, verbose=2)
print("figures of an epoch:", sorted(history.history))
right = mixed.predict(x[1400:], verbose=0).argmax(-1) == y[1400:].argmax(-1)
print(f"accuracy: {right.mean():.4f}")


class Adversaries(keras.Model):
    """A generator that makes points, and a critic that tells them from real ones."""

    def __init__(self, generator, critic, size):
        super().__init__()
        self.generator, self.critic, self.size = generator, critic, size
        self.seen = keras.metrics.Mean(name="critic_loss")
        self.made = keras.metrics.Mean(name="generator_loss")
        self.built = True

    def compile(self, critic_optimizer, generator_optimizer, loss):
        super().compile()
        self.critic_optimizer = critic_optimizer
        self.generator_optimizer = generator_optimizer
        self.tells = loss

    def learn(self, model, optimizer, loss):
        """One update of one of the two by its own optimizer."""
        self.zero_grad()
        loss.backward()
        weights = list(model.trainable_weights)
        with torch.no_grad():
            optimizer.apply([getattr(w, "value", w).grad for w in weights], weights)

    def train_step(self, real):
        count = len(real)
        fake = self.generator(torch.randn(count, self.size))
        answers = self.critic(torch.cat([fake.detach(), real]))
        is_real = torch.cat([torch.zeros(count, 1), torch.ones(count, 1)])
        critic_loss = self.tells(is_real, answers)
        self.learn(self.critic, self.critic_optimizer, critic_loss)

        fake = self.generator(torch.randn(count, self.size))
        generator_loss = self.tells(torch.ones(count, 1), self.critic(fake))
        self.learn(self.generator, self.generator_optimizer, generator_loss)
        self.seen.update_state(critic_loss.detach())
        self.made.update_state(generator_loss.detach())
        return {"critic_loss": self.seen.result(), "generator_loss": self.made.result()}


points = np.random.default_rng(8).normal((2.0, -1.0), 0.5, size=(2048, 2)).astype("float32")
generator = keras.Sequential(
    [keras.Input(shape=(4,)), layers.Dense(16, activation="relu"), layers.Dense(2)]
)
critic = keras.Sequential(
    [keras.Input(shape=(2,)), layers.Dense(16), layers.LeakyReLU(negative_slope=0.2),
     layers.Dense(1)]
)  # fmt: skip
adversaries = Adversaries(generator, critic, size=4)
adversaries.compile(
    critic_optimizer=keras.optimizers.Adam(0.005, beta_1=0.5),
    generator_optimizer=keras.optimizers.Adam(0.002, beta_1=0.5),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
adversaries.fit(points, batch_size=64, epochs=15, verbose=2)
made = generator.predict(np.random.default_rng(0).normal(size=(2000, 4)), verbose=0)
print("middle of the points made:", made.mean(0).round(2))
away = np.linalg.norm(points.mean(0))
left = np.linalg.norm(made.mean(0) - points.mean(0))
print(f"way found: {1 - left / away:.4f}")
