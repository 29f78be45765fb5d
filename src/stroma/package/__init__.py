"""What ships: a network with its pictures' geometry and its class names in one file."""

from stroma.package.artefact import Answer, Artefact, NumberAnswer, SeveralAnswer

__all__ = ["Artefact", "Answer", "SeveralAnswer", "NumberAnswer"]
