// The API reference: Swagger UI over this server's own document, and over nothing else.

const reference = document.getElementById("reference");

// Swagger UI takes every change of the address's fragment for itself, and the focus stays where it was.
document.querySelector(".skip-link").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});

SwaggerUIBundle({
  url: reference.dataset.document,
  domNode: reference,
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  plugins: [partOfAPage],
  layout: "PartOfAPage",
});

/** Swagger UI as a part of a page that has a heading and a main landmark of its own. */
function partOfAPage({ React }) {
  const draw = React.createElement;
  return {
    components: {
      PartOfAPage({ getComponent, specSelectors }) {
        const status = specSelectors.loadingStatus();
        const parts = ["SvgAssets", "errors", ...(status === "success" ? ["operations", "Models"] : [])];
        return draw(
          "div",
          { className: "swagger-ui" },
          status === "loading" && draw("p", { className: "quiet" }, "Loading the document …"),
          ...parts.map((name) => draw(getComponent(name, name !== "SvgAssets"), { key: name })),
        );
      },
      // Its own is a link inside a button, which no screen reader can make sense of.
      DeepLink: ({ text }) => draw("span", null, text),
    },
    statePlugins: {
      layout: {
        wrapActions: {
          parseDeepLinkHash: showLinked,
          // Its own is called too early: the rest of the page is not there yet.
          scrollToElement: () => (element) => requestAnimationFrame(() => element.scrollIntoView()),
        },
      },
    },
    wrapComponents: {
      Markdown: (Original) => (props) =>
        draw(Original, { ...props, source: withoutMarkup(props.source) }),
      // Its choice has words beside it, and no name.
      ExamplesSelect: (Original) => (props) => draw("label", null, draw(Original, props)),
      TextArea: (Original) => (props) => draw(Original, { ...props, "aria-label": "Request body" }),
    },
  };
}

/** Show what an address such as `#/iris` leads to. Swagger UI's own takes a `_` in a name for a mistake. */
function showLinked(original, { layoutActions, layoutSelectors }) {
  return (fragment) => {
    const path = decodeURIComponent(fragment.replace(/^#!?\/?/, ""));
    const [kind, tag, ...rest] = layoutSelectors.isShownKeyFromUrlHashArray(path.split("/"));
    if (tag) {
      layoutActions.show(["operations-tag", tag], true);
      layoutActions.show([kind, tag, ...rest], true);
      layoutActions.scrollTo([kind, tag, ...rest]);
    }
  };
}

/** What a model says of itself is a few lines of Markdown: no HTML, no picture, no heading of the page. */
function withoutMarkup(source) {
  return typeof source === "string"
    ? source.replaceAll("<", "&lt;").replaceAll("![", "!\\[").replaceAll(/^ {0,3}#+ /gm, "")
    : source;
}
