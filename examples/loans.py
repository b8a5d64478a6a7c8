"""Generator of synthetic loan applications, the data of the loan example.

Each applicant's traits are drawn from simple distributions, and default is drawn
with a probability that rises with the instalment's share of the income, with earlier defaults and
with how much of the credit cards is used, and falls with years in the job, savings and owning a
home. See :func:`default_probability` for the exact numbers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

PURPOSES = ("car", "education", "furniture", "home improvement", "medical", "refinancing")
HOMES = ("owns", "mortgage", "rents", "with family")
TERMS = (12, 24, 36, 48, 60)

HOME_EFFECT = {"owns": -0.5, "mortgage": -0.2, "rents": 0.3, "with family": 0.1}
PURPOSE_EFFECT = {"refinancing": 0.5, "medical": 0.3, "education": -0.2}


def applications(count: int, seed: int = 7) -> pd.DataFrame:
    """Return synthetic applications; the column ``outcome`` has the outcome of each loan.

    :returns: ``count`` rows with the columns of the loan model's form. ``savings`` is missing
        for about one applicant in eight.
    """
    random = np.random.default_rng(seed)
    income = random.lognormal(np.log(34_000), 0.45, count).round(-2)
    table = pd.DataFrame(
        {
            "annual_income": income,
            "loan_amount": (income * random.beta(1.6, 4, count)).clip(500, 80_000).round(-2),
            "term_months": random.choice(TERMS, count),
            "purpose": random.choice(PURPOSES, count),
            "home": random.choice(HOMES, count, p=[0.2, 0.3, 0.35, 0.15]),
            "years_employed": random.gamma(1.6, 4, count).clip(0, 45).round(1),
            "earlier_defaults": random.poisson(0.25, count).clip(0, 10),
            "card_use": (random.beta(1.5, 3, count) * 100).round(0),
            "savings": random.lognormal(np.log(4_000), 1.2, count).round(-1),
        }
    )
    defaulted = random.random(count) < default_probability(table)
    table["outcome"] = np.where(defaulted, "default", "repaid")
    table.loc[random.random(count) < 1 / 8, "savings"] = np.nan
    return table


def default_probability(table: pd.DataFrame) -> pd.Series:
    """Return the probability with which each loan defaults."""
    instalment = table["loan_amount"] * 1.08 / table["term_months"]
    burden = instalment * 12 / table["annual_income"]
    score = (
        -3.2
        + 4.5 * burden.clip(0, 1.5)
        + 0.9 * table["earlier_defaults"]
        + 0.02 * table["card_use"]
        - 0.06 * table["years_employed"]
        - 0.00004 * table["savings"].clip(0, 30_000)
        + table["home"].map(HOME_EFFECT)
        + table["purpose"].map(PURPOSE_EFFECT).fillna(0)
    )
    return 1 / (1 + np.exp(-score))
