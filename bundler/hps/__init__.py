"""HPS: connect, check, submit, watch and fetch. Only this package imports the HPS client."""
