"""The language model, what it is told and how it answers: whatever the narrator reads beside."""
