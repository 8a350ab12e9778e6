"""The catalogue: categories, products and the periods in which their prices hold."""
