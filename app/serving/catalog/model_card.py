"""The members of a model's card: ``card`` of an entry, and of ``extra`` in a file.

The names are those of the variables in the model-card template of Hugging Face, whose sections
skops has too, except the two numbers of rows.

Source: https://huggingface.co/docs/hub/model-card-annotated
"""

#: Short texts, with their titles on the page.
FACTS = {
    "developers": "Developed by",
    "model_card_contact": "Contact",
    "license": "Licence",
}
#: Texts in Markdown, with their titles.
TEXTS = {
    "direct_use": "Intended use",
    "out_of_scope_use": "Not intended for",
    "bias_risks_limitations": "Risks and limits",
    "bias_recommendations": "Recommendations",
    "training_data": "Training data",
    "testing_data": "Test data",
}
#: Numbers of rows, with their titles.
ROWS = {"training_rows": "Trained on", "testing_rows": "Tested on"}
#: Maximum of characters of a text.
MOST_CHARACTERS = 5000

#: The JSON Schema of ``card`` in an entry.
CARD = {
    "type": "object",
    "properties": {
        **{
            key: {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}
            for key in (*FACTS, *TEXTS)
        },
        **{key: {"type": "integer", "minimum": 1} for key in ROWS},
    },
    "additionalProperties": False,
}
