"""OpenAI's surface: what programs written for its API ask for, answered by any binding."""
