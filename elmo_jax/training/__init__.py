"""Training, fine-tuning and evaluating biLMs, and using them as language models."""

from .corpus import Corpus, CorpusStatistics, survey
from .evaluation import Perplexity, evaluate
from .loop import TrainingDiverged
from .scoring import SentenceScores, score, substitutes
from .settings import RECIPES, TrainingSettings
from .training import train
from .vocabulary import Vocabulary

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
    "score",
    "substitutes",
    "survey",
    "train",
]
