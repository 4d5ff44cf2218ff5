"""Training, fine-tuning and evaluating biLMs, and using them as language models."""

from ..checkpoint.vocabulary import Vocabulary
from .evaluation import evaluate
from .language_model import load_language_model
from .loop import TrainingDiverged
from .perplexity import Perplexity
from .scoring import SentenceScores, score, substitutes
from .settings import RECIPES, TrainingSettings
from .text_files import Corpus, CorpusStatistics, survey
from .trainer import train

__all__ = [
    "RECIPES",
    "Corpus",
    "CorpusStatistics",
    "Perplexity",
    "SentenceScores",
    "TrainingDiverged",
    "TrainingSettings",
    "Vocabulary",
    "evaluate",
    "load_language_model",
    "score",
    "substitutes",
    "survey",
    "train",
]
