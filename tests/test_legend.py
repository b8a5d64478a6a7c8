from app.web.legend import MAX_VALUES, legend


def test_members_and_items_are_told_by_their_place():
    schema = {
        "properties": {
            "price": {"type": "number", "title": "Price", "x-unit": "EUR"},
            "a/b": {"items": {"properties": {"net_sum": {"type": "number"}}}},
        }
    }

    told = legend(schema)

    assert told["/price"] == {"label": "Price", "unit": "EUR"}
    assert told["/a~1b/*/net_sum"] == {"label": "Net sum"}


def test_base64_is_told_with_its_media_type():
    picture = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    schema = {"properties": {"heat": picture, "file": {"contentEncoding": "base64"}}}

    told = legend(schema)

    assert told["/heat"]["media"] == "image/png"
    assert told["/file"]["media"] == "application/octet-stream"


def test_a_schema_that_holds_itself_ends():
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}

    assert set(legend(tree)) == {"", "/left", "/right", "/left/left", "/left/right"} | {
        "/right/left",
        "/right/right",
    }


def test_a_large_schema_is_told_of_in_part():
    schema = {"properties": {f"m{number}": {} for number in range(2 * MAX_VALUES)}}

    assert len(legend(schema)) == MAX_VALUES


def test_no_schema_tells_nothing():
    assert legend(None) == {"": {}}
