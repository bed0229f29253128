// A JSON schema (pydantic's) as fields of a form. Nothing here knows any binding.

/**
 * One property as a field: {name, label, description, kind, nullable, initial, min, max, step, choices, of, secret, listed}.
 *
 * `listed` is the list of the binding's that it is chosen from, "list_voices" or "list_models".
 * kind: "number" | "integer" | "boolean" | "choice" | "text" | "long" | "list" | "media" | "json".
 */
export function fieldOf(name, schema, root, required = false) {
  const told = resolve(schema, root);
  const { schema: shape, nullable } = withoutNull(told, root);
  const field = {
    name, required, nullable, label: told.title ?? shape.title ?? titleOf(name), kind: "json",
    description: told.description ?? shape.description ?? "", initial: told.default ?? shape.default ?? null,
    secret: Boolean(told.writeOnly || shape.writeOnly || shape.format === "password" || told.lollms?.kind === "secret"),
    listed: told.lollms?.choices_from ?? null,
    ...limitsOf(shape), ...kindOf(shape, root),
  };
  if (field.kind === "text" && typeof field.initial === "string" && field.initial.includes("\n")) field.kind = "long";
  return field;
}

// All properties of an object's schema.
export function fieldsOf(schema, leftOut = []) {
  const required = new Set(schema?.required ?? []);
  return Object.entries(schema?.properties ?? {})
    .filter(([name]) => !leftOut.includes(name))
    .map(([name, property]) => fieldOf(name, property, schema, required.has(name)));
}

export const titleOf = (name) => {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
};

function resolve(schema, root, depth = 0) {
  if (schema === true || schema === undefined || depth > 8) return {};
  if (schema.$ref?.startsWith("#/")) {
    const found = schema.$ref.slice(2).split("/").reduce((at, key) => at?.[key], root);
    const { $ref: _, ...beside } = schema;
    return { ...resolve(found, root, depth + 1), ...beside };
  }
  if (schema.allOf?.length === 1) {
    const { allOf, ...beside } = schema;
    return { ...resolve(allOf[0], root, depth + 1), ...beside };
  }
  return schema;
}

const isNull = (schema) => schema.type === "null" || schema.const === null;

function withoutNull(schema, root) {
  const several = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== "null");
    return {
      schema: { ...schema, type: types.length === 1 ? types[0] : undefined, types },
      nullable: types.length < schema.type.length,
    };
  }
  if (!several) return { schema, nullable: Boolean(schema.enum?.includes(null)) };
  const each = several.map((one) => resolve(one, root));
  const rest = each.filter((one) => !isNull(one));
  const nullable = rest.length < each.length;
  if (rest.length === 1) return { schema: { ...withoutNull(rest[0], root).schema }, nullable };
  return { schema: { anyOf: rest }, nullable };
}

function limitsOf(shape) {
  const step = shape.multipleOf ?? (shape.type === "integer" ? 1 : null);
  const above = shape.exclusiveMinimum, below = shape.exclusiveMaximum;
  const limits = { min: shape.minimum ?? above ?? null, max: shape.maximum ?? below ?? null, step };
  if (shape.type === "integer") {
    if (typeof above === "number") limits.min = above + 1;
    if (typeof below === "number") limits.max = below - 1;
  }
  return { ...limits, maxLength: shape.maxLength ?? null, pattern: shape.pattern ?? null };
}

function kindOf(shape, root) {
  if (shape.const !== undefined) return { kind: "choice", choices: [shape.const] };
  if (shape.enum) return { kind: "choice", choices: shape.enum.filter((choice) => choice !== null) };
  if (shape.format === "lollms-media" || shape.format === "binary") return { kind: "media" };
  if (shape.anyOf || shape.types?.length > 1) return kindOfSeveral(shape, root);
  switch (shape.type) {
    case "number": case "integer": case "boolean": return { kind: shape.type };
    case "string": return { kind: shape.format === "textarea" ? "long" : "text" };
    case "array": return kindOfList(shape, root);
    default: return { kind: "json" };
  }
}

function kindOfList(shape, root) {
  const of = fieldOf("", shape.items ?? {}, root);
  if (of.kind === "media") return { kind: "media", many: true };
  return ["text", "number", "integer", "choice"].includes(of.kind) ? { kind: "list", of } : { kind: "json" };
}

// Of several types the one that can be typed: all that is a text or number is a line of text.
function kindOfSeveral(shape, root) {
  const shapes = shape.anyOf ?? shape.types.map((type) => ({ type }));
  const kinds = shapes.map((one) => fieldOf("", one, root));
  const one = (kind) => kinds.find((field) => field.kind === kind);
  if (kinds.every((field) => field.kind === "choice")) {
    return { kind: "choice", choices: kinds.flatMap((field) => field.choices) };
  }
  if (one("media")) return { kind: "media", many: Boolean(one("media").many) };
  if (kinds.every((field) => ["number", "integer"].includes(field.kind))) return { kind: "number" };
  if (one("text")) return { kind: "text", suggestions: one("choice")?.choices };
  if (one("list")) return { kind: "list", of: one("list").of };
  return { kind: "json" };
}

/**
 * What was typed, as the value of a field. Nothing typed is undefined: the option is left out.
 *
 * Throws a RangeError with the reason, "number" or "json", where it is none.
 */
export function valueOf(field, typed) {
  if (typed === undefined || typed === "") return undefined;
  switch (field.kind) {
    case "number": case "integer": return numberOf(typed, field.kind === "integer");
    case "list": return String(typed).split("\n").filter((line) => line.trim()).map((line) => itemOf(field.of, line.trim()));
    case "json":
      try {
        return JSON.parse(typed);
      } catch {
        throw new RangeError("json");
      }
    case "media": return [typed].flat().every((file) => file instanceof Blob) ? typed : undefined; // no file outlives a reload
    default: return typed;
  }
}

const itemOf = (of, line) => (of.kind === "number" || of.kind === "integer" ? numberOf(line, of.kind === "integer") : line);

function numberOf(typed, whole) {
  const value = Number(typed);
  if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) throw new RangeError("number");
  return value;
}

// A value as it is typed.
export function typedOf(field, value) {
  if (value === null || value === undefined) return "";
  if (field.kind === "list") return Array.isArray(value) ? value.join("\n") : String(value);
  if (field.kind === "json") return JSON.stringify(value);
  return value;
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
      const value = valueOf(field, typed[field.name]);
      if (value !== undefined) made[field.name] = value;
    } catch (error) {
      throw Object.assign(error, { field });
    }
  }
  return made;
}
