WHERE true
