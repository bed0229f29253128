// A JSON schema (pydantic's, or anybody's) as fields of a form. Nothing here knows any binding.
// What goes deeper than this, or round in a ring, or is one of more kinds, is typed as JSON.
const DEEPEST = 3, REFS = 8, KINDS = 20;

const isObject = (value) => Boolean(value) && typeof value === "object" && !Array.isArray(value);
const text = (value, otherwise = "") => (typeof value === "string" ? value : otherwise);
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/**
 * One property as a field: {name, label, description, kind, nullable, initial, min, max, step, choices, of, secret, listed}.
 *
 * `listed` is the list of the binding's that it is chosen from, "list_voices" or "list_models".
 * kind: "number" | "integer" | "boolean" | "choice" | "text" | "long" | "list" | "media" | "json".
 */
export function fieldOf(name, schema, root, required = false, depth = 0) {
  const told = resolve(schema, root);
  const { schema: shape, nullable } = withoutNull(told, root, depth);
  const field = {
    name, required, nullable, label: labelOf(name, text(told.title) || text(shape.title)), kind: "json",
    description: text(told.description) || text(shape.description), initial: told.default ?? shape.default ?? null,
    secret: Boolean(told.writeOnly || shape.writeOnly || shape.format === "password" || told.lollms?.kind === "secret"),
    listed: text(told.lollms?.choices_from, null),
    ...limitsOf(shape), ...(depth > DEEPEST ? {} : kindOf(shape, root, depth)),
  };
  if (field.kind === "text" && typeof field.initial === "string" && field.initial.includes("\n")) field.kind = "long";
  return field;
}

// All properties of an object's schema.
export function fieldsOf(schema, leftOut = []) {
  const required = new Set(Array.isArray(schema?.required) ? schema.required : []);
  return Object.entries(isObject(schema?.properties) ? schema.properties : {})
    .filter(([name]) => !leftOut.includes(name))
    .map(([name, property]) => fieldOf(name, property, schema, required.has(name)));
}

// What a schema calls it; its name, where that says no more, as "Num Frames" that was made of num_frames.
const labelOf = (name, title) => (title && title.toLowerCase() !== titleOf(name).toLowerCase() ? title : titleOf(name));

export const titleOf = (name) => {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
};

function resolve(schema, root, depth = 0) {
  if (!isObject(schema) || depth > REFS) return {};
  if (text(schema.$ref).startsWith("#")) {
    const way = schema.$ref.slice(1).split("/").filter(Boolean).map(unescaped);
    const { $ref: _, ...beside } = schema;
    return { ...resolve(way.reduce((at, key) => at?.[key], root), root, depth + 1), ...beside };
  }
  if (Array.isArray(schema.allOf)) {
    const { allOf, ...beside } = schema;
    return Object.assign({}, ...allOf.map((one) => resolve(one, root, depth + 3)), beside);
  }
  return schema;
}

const unescaped = (key) => decodeURIComponent(key.replace(/%(?![0-9a-f]{2})/gi, "%25")).replaceAll("~1", "/").replaceAll("~0", "~");

const isNull = (schema) => schema.type === "null" || schema.const === null;
const severalOf = (schema) => [schema.anyOf, schema.oneOf].find(Array.isArray);

function withoutNull(schema, root, depth) {
  const several = severalOf(schema);
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== "null");
    return {
      schema: { ...schema, type: types.length === 1 ? types[0] : undefined, types },
      nullable: types.length < schema.type.length,
    };
  }
  if (!several || depth > DEEPEST || several.length > KINDS) return { schema, nullable: Array.isArray(schema.enum) && schema.enum.includes(null) };
  const each = several.map((one) => resolve(one, root));
  const rest = each.filter((one) => !isNull(one));
  const nullable = rest.length < each.length;
  if (rest.length !== 1) return { schema: { anyOf: rest }, nullable };
  const only = withoutNull(rest[0], root, depth + 1);
  return { schema: only.schema, nullable: nullable || only.nullable };
}

function limitsOf(shape) {
  const step = number(shape.multipleOf) ?? (shape.type === "integer" ? 1 : null);
  const above = number(shape.exclusiveMinimum), below = number(shape.exclusiveMaximum);
  const limits = { min: number(shape.minimum) ?? above, max: number(shape.maximum) ?? below, step: step > 0 ? step : null };
  if (shape.type === "integer") {
    if (above !== null) limits.min = above + 1;
    if (below !== null) limits.max = below - 1;
  }
  const longest = number(shape.maxLength);
  return { ...limits, maxLength: longest >= 0 ? longest : null };
}

function kindOf(shape, root, depth) {
  if (shape.const !== undefined) return { kind: "choice", choices: [shape.const] };
  if (Array.isArray(shape.enum)) return { kind: "choice", choices: shape.enum.filter((choice) => choice !== null) };
  if (shape.format === "lollms-media" || shape.format === "binary") return { kind: "media" };
  if (Array.isArray(shape.anyOf) || shape.types?.length > 1) return kindOfSeveral(shape, root, depth);
  switch (shape.type) {
    case "number": case "integer": case "boolean": return { kind: shape.type };
    case "string": return { kind: shape.format === "textarea" ? "long" : "text" };
    case "array": return kindOfList(shape, root, depth);
    default: return { kind: "json" };
  }
}

function kindOfList(shape, root, depth) {
  const of = fieldOf("", shape.items, root, false, depth + 1);
  if (of.kind === "media") return { kind: "media", many: true };
  return ["text", "number", "integer", "choice"].includes(of.kind) ? { kind: "list", of } : { kind: "json" };
}

// Of several types the one that can be typed: all that is a text or number is a line of text.
function kindOfSeveral(shape, root, depth) {
  const shapes = shape.anyOf ?? shape.types.map((type) => ({ ...shape, types: undefined, type }));
  const kinds = shapes.map((one) => fieldOf("", one, root, false, depth + 1));
  const one = (kind) => kinds.find((field) => field.kind === kind);
  if (kinds.length && kinds.every((field) => field.kind === "choice")) {
    return { kind: "choice", choices: kinds.flatMap((field) => field.choices) };
  }
  if (one("media")) return { kind: "media", many: Boolean(one("media").many) };
  if (kinds.length && kinds.every((field) => ["number", "integer"].includes(field.kind))) return { kind: "number" };
  if (one("text")) return { kind: "text" };
  const lists = kinds.filter((field) => field.kind === "list");
  if (lists.length && lists.length === kinds.length) return { kind: "list", of: (lists.find(({ of }) => of.kind === "text") ?? lists[0]).of };
  return { kind: "json" };
}

/** How a choice, or a value, is said. */
export const said = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

const same = (a, b) => a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));

/** Which of a field's choices a value is, or -1. */
export const choiceAt = (field, value) => (value === undefined ? -1 : field.choices.findIndex((choice) => same(choice, value)));

/**
 * What was typed, as the value of a field. Nothing typed is undefined: the option is left out; so is what was typed into
 * a field that was of another kind before.
 *
 * Throws a RangeError with the reason, "number" or "json", where it is none.
 */
export function valueOf(field, typed) {
  if (typed === undefined || typed === null || typed === "") return undefined;
  switch (field.kind) {
    case "number": case "integer": return numberOf(typed, field.kind === "integer");
    case "boolean": return typeof typed === "boolean" ? typed : undefined;
    case "choice": return choiceAt(field, typed) < 0 ? undefined : typed;
    case "list": return String(typed).split("\n").filter((line) => line.trim()).map((line) => itemOf(field.of, line.trim()));
    case "json":
      try {
        return JSON.parse(typed);
      } catch {
        throw new RangeError("json");
      }
    case "media": return [typed].flat().every((file) => file instanceof Blob) ? typed : undefined; // no file outlives a reload
    default: return typeof typed === "string" ? typed : said(typed);
  }
}

function itemOf(of, line) {
  if (of.kind === "choice") return of.choices.find((choice) => said(choice) === line) ?? line;
  return of.kind === "number" || of.kind === "integer" ? numberOf(line, of.kind === "integer") : line;
}

function numberOf(typed, whole) {
  const value = typeof typed === "boolean" ? NaN : Number(typed);
  if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) throw new RangeError("number");
  return value;
}

// A value as it is typed.
export function typedOf(field, value) {
  if (value === null || value === undefined) return "";
  if (field.kind === "list" && Array.isArray(value)) return value.map(said).join("\n");
  if (field.kind === "json") return JSON.stringify(value);
  return typeof value === "object" ? said(value) : value;
}

/**
 * What a form holds ({name: typed}), as arguments. Names that the fields do not have are left out.
 *
 * Throws a RangeError with `field` and the reason as its message.
 */
export function argumentsOf(fields, typed) {
  const made = {};
  for (const field of fields) {
    try {
      const value = valueOf(field, Object.hasOwn(typed, field.name) ? typed[field.name] : undefined);
      if (value !== undefined) Object.defineProperty(made, field.name, { value, enumerable: true, configurable: true, writable: true });
    } catch (error) {
      throw Object.assign(error, { field });
    }
  }
  return made;
}
