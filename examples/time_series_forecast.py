"""Causal convolutions and an LSTM forecast a series with two seasons.

The forecast is compared with the answer that costs nothing: tomorrow is like today.

Run it: python examples/time_series_forecast.py
With Keras: change the line `import stroma as keras` to `import keras`.
"""

import numpy as np

import stroma as keras

layers = keras.layers
keras.utils.set_random_seed(5)

# A daily and a slower season, with noise
time = np.arange(3000)
noise = np.random.default_rng(5).normal(0, 0.1, len(time))
series = np.sin(2 * np.pi * time / 24) + 0.5 * np.sin(2 * np.pi * time / 37) + noise
series = series.astype("float32")

past = 48
windows = np.lib.stride_tricks.sliding_window_view(series, past + 1)
x, y = windows[:, :past, np.newaxis].copy(), windows[:, past:].copy()
learned = 2200  # windows after it are the future: time series are never shuffled apart
# Windows on both sides of the cut would share values: leave a gap of one window
test = slice(learned + past, None)

model = keras.Sequential(
    [
        keras.Input(shape=(past, 1)),
        layers.Conv1D(16, kernel_size=5, padding="causal", activation="relu"),
        layers.Conv1D(16, kernel_size=5, strides=2, padding="causal", activation="relu"),
        layers.LSTM(24),
        layers.Dense(1),
    ]
)
model.summary()
model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mse", metrics=["mae"])
stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=4, restore_best_weights=True)
model.fit(x[:learned], y[:learned], batch_size=64, epochs=10, validation_split=0.15,
          callbacks=[stopping], verbose=2)  # fmt: skip

error = np.abs(model.predict(x[test], verbose=0) - y[test]).mean()
like_today = np.abs(x[test][:, -1] - y[test]).mean()
print(f"mean absolute error {error:.3f}, by repeating the last value {like_today:.3f}")
print(f"error saved: {1 - error / like_today:.4f}")
