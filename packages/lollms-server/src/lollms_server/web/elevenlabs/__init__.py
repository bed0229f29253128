"""The surface that ElevenLabs' SDK asks, below ``/elevenlabs``: since its ``/v1/models`` and ``/v1/music`` are others
than OpenAI's. Shapes as of https://elevenlabs.io/docs/api-reference and the package ``elevenlabs`` 2.78."""
