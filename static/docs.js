// The API reference: Swagger UI for this server's OpenAPI document only.

const reference = document.getElementById("reference");

// Swagger UI handles every change of the fragment and does not move the focus.
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

/** Swagger UI as a part of a page that has its own heading and main landmark. */
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
      // The original is a link inside a button, which screen readers do not support.
      DeepLink: ({ text }) => draw("span", null, text),
    },
    statePlugins: {
      layout: {
        wrapActions: {
          parseDeepLinkHash: showLinked,
          // The original is called before the rest of the page exists.
          scrollToElement: () => (element) => requestAnimationFrame(() => element.scrollIntoView()),
        },
      },
    },
    wrapComponents: {
      Markdown: (Original) => (props) =>
        draw(Original, { ...props, source: withoutMarkup(props.source) }),
      // The original select has no label.
      ExamplesSelect: (Original) => (props) => draw("label", null, draw(Original, props)),
      TextArea: (Original) => (props) => draw(Original, { ...props, "aria-label": "Request body" }),
    },
  };
}

/** Show the target of a fragment such as `#/iris`. The original does not support names with `_`. */
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

/**
 * Remove HTML, pictures and headings from the Markdown in a model's description, and the alignment of columns,
 * which would become `style` attributes that the content security policy blocks.
 */
function withoutMarkup(source) {
  if (typeof source !== "string") return source;
  const plain = source.replaceAll("<", "&lt;").replaceAll("![", "!\\[").replaceAll(/^ {0,3}#+ /gm, "");
  return plain.replaceAll(/^[ |:-]+$/gm, (line) => line.replaceAll(":", "-"));
}
