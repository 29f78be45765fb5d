"""TensorBoard's files read by TensorBoard, averages in place, a server on this machine."""

import http.server
import json
import struct
import threading
import urllib.parse

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import callbacks, layers, models, optimizers
from stroma.core.errors import ArgumentError
from stroma.training.event_file import EventFile, _checksum

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)).astype("float32"), RNG.normal(size=(40, 2)).astype("float32")


def network(optimizer="sgd", kit=None):
    kit = kit or models
    model = kit.Sequential([kit.Input((3,)), kit.layers.Dense(4), kit.layers.Dense(2)])
    model.compile(optimizer, "mse")
    return model


class Stroma:
    Sequential, layers, Input = models.Sequential, layers, layers.Input


def fit(model, *listeners, epochs=3, **options):
    return model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, shuffle=False,
                     callbacks=list(listeners), **options)  # fmt: skip


# TensorBoard


def read(folder):
    """{(tag, step): summary value} of a folder's event files, checksums checked by tensorboard."""
    tensorboard = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in tensorboard.LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found[value.tag, event.step] = value
    return found


def test_checksum_is_castagnoli_s():
    masked = struct.unpack("<I", _checksum(b"123456789"))[0]
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    assert (rotated >> 17 | rotated << 15) & 0xFFFFFFFF == 0xE3069283  # RFC 3720, appendix B.4


def test_curves_have_keras_names_and_the_history_s_values(tmp_path):
    board = callbacks.TensorBoard(tmp_path, update_freq=2, write_steps_per_second=True)
    model = network(kit=Stroma)
    history = fit(model, board, validation_data=(X[:8], Y[:8]))
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    for epoch in range(3):
        loss = np.float32(history.history["loss"][epoch])
        assert train["epoch_loss", epoch].simple_value == loss
        assert train["epoch_learning_rate", epoch].simple_value == pytest.approx(0.01)
        val = np.float32(history.history["val_loss"][epoch])
        assert validation["epoch_loss", epoch].simple_value == val
        assert validation["evaluation_loss_vs_iterations", 5 * epoch + 5].simple_value == val
        assert train["epoch_steps_per_second", epoch].simple_value > 0
    steps = [step for tag, step in train if tag == "batch_loss"]
    assert steps == [2, 4, 6, 8, 10, 12, 14]
    text = train["model", 0].tensor.string_val[0].decode()
    assert "Total params" in text and "dense" in text


def test_histograms_and_pictures_of_weights(tmp_path):
    pytest.importorskip("tensorboard")
    model = network(kit=Stroma)
    fit(model, callbacks.TensorBoard(tmp_path, histogram_freq=2, write_images=True), epochs=3)
    found = read(tmp_path / "train")
    assert {s for tag, s in found if tag == "dense/kernel/histogram"} == {0, 2}
    histogram = found["dense/kernel/histogram", 2].histo
    kernel = model.layers[0].kernel.detach().numpy()
    assert histogram.num == kernel.size == sum(histogram.bucket)
    assert histogram.max == pytest.approx(kernel.max()) and histogram.sum == pytest.approx(
        kernel.sum(dtype="float64")
    )
    picture = found["dense/kernel/image", 2].image
    assert (picture.height, picture.width) == (3, 4)
    assert picture.encoded_image_string.startswith(b"\x89PNG")


def test_a_damaged_record_is_noticed(tmp_path):
    """Planted mistake: one byte changed."""
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    file = EventFile(tmp_path)
    file.scalar("loss", 0.5, -3)
    file.close()
    assert read(tmp_path)["loss", -3].simple_value == 0.5
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(bytes(content))
    events = list(loader.RawEventFileLoader(str(path), detect_file_replacement=False).Load())
    assert len(events) == 1  # the version alone: the record is not taken


def test_nothing_is_written_before_training_and_words_refuse(tmp_path):
    callbacks.TensorBoard(tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
    for option in ({"profile_batch": 2}, {"embeddings_freq": 1}):
        with pytest.raises(ArgumentError, match=next(iter(option))):
            callbacks.TensorBoard(tmp_path, **option)


# Averages

EMA = {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.7}


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averages_are_judged_as_in_keras(swap_on_epoch):
    theirs = network(keras.optimizers.SGD(**EMA), keras)
    ours = network(optimizers.SGD(**EMA), Stroma)
    ours.set_weights(theirs.get_weights())
    validation = {"validation_data": (X[:8], Y[:8])}
    expected = fit(theirs, keras.callbacks.SwapEMAWeights(swap_on_epoch), **validation).history
    found = fit(ours, callbacks.SwapEMAWeights(swap_on_epoch), **validation).history
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-5)
    for mine, its in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)
    bare = network(optimizers.SGD(**EMA), Stroma)
    bare.set_weights(theirs.get_weights())
    assert not np.allclose(fit(bare, **validation).history["val_loss"], found["val_loss"])


def test_fit_that_stops_early_ends_with_the_averages():
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.state.stop("enough")

    ended = {}
    for name, listeners in {
        "swap": [callbacks.SwapEMAWeights(swap_on_epoch=True), Stop()], "plain": [Stop()],
    }.items():  # fmt: skip
        torch.manual_seed(0)
        model = network(optimizers.SGD(**EMA), Stroma)
        model.set_weights([np.full(w.shape, 0.1, "float32") for w in model.get_weights()])
        fit(model, *listeners, epochs=5)
        ended[name] = model.get_weights()
    for swapped, plain in zip(ended["swap"], ended["plain"]):
        np.testing.assert_allclose(swapped, plain, rtol=1e-6)


def test_evaluate_and_predict_use_the_averages_and_put_the_weights_back():
    model = network(optimizers.SGD(**EMA), Stroma)
    for _ in range(4):
        model.train_on_batch(X, Y)
    before = model.get_weights()
    swap = callbacks.SwapEMAWeights()
    assert not np.allclose(model.predict(X, verbose=0, callbacks=[swap]), model(X).detach())
    assert model.evaluate(X, Y, verbose=0, callbacks=[swap]) != model.evaluate(X, Y, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    with pytest.raises(ArgumentError, match="use_ema=True"):
        fit(network(kit=Stroma), swap, validation_data=(X, Y))


# A server


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.received.append((self.path, dict(self.headers), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_remote_monitor_posts_to_a_server():
    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.received = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        history = fit(
            network(kit=Stroma),
            callbacks.RemoteMonitor(root, field="it", headers={"X-Key": "k"}),
            callbacks.RemoteMonitor(root, path="/json/", send_as_json=True),
            epochs=1,
        )
        server.shutdown()
    (path, headers, form), (other, _, body) = server.received
    assert (path, other, headers["X-Key"]) == ("/publish/epoch/end/", "/json/", "k")
    sent = json.loads(urllib.parse.parse_qs(form)["it"][0])
    assert sent == json.loads(body) == {"epoch": 0, "loss": history.history["loss"][0]}
    with pytest.warns(UserWarning, match="training goes on"):
        callbacks.RemoteMonitor(root).on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(ArgumentError, match="not the address"):
        callbacks.RemoteMonitor("file:///etc")


# Lists and lines


def test_callback_list_calls_all_in_order():
    calls = []

    class Note(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            calls.append(("begin", epoch))

        def on_train_batch_end(self, batch, logs=None):
            calls.append((batch, logs, self.model is model))

    model = network(kit=Stroma)
    several = callbacks.CallbackList([Note()], add_history=True, model=model, epochs=2)
    several.append(Note())
    several.on_train_begin()
    several.on_epoch_begin(0)
    several.on_train_batch_end(0, {"loss": 1.0})
    several.on_epoch_end(0, logs={"loss": 2.0})
    once = [("begin", 0), (0, {"loss": 1.0}, True)]
    assert calls == [once[0], once[0], once[1], once[1]]
    assert several.history.history == {"loss": [2.0]} and several.state.step == 1


def test_progbar_logger_is_the_only_line(capsys):
    network(kit=Stroma).fit(X, Y, epochs=1, callbacks=[callbacks.ProgbarLogger()])
    assert capsys.readouterr().out.count("Epoch 1/1") == 1
