"""Golden cases; see golden.py. E: E2E-VLP case, S: SOHO case (image sizes, text lengths, ...)."""
tiny = dict(depth=10, width=8, dim=32, heads=4, ffn=64, enc_layers=2, dec_layers=2, queries=12, classes=9, attrs=5, vocab=120, max_len=24)
tiny2 = dict(depth=26, width=8, dim=48, heads=6, ffn=80, enc_layers=3, dec_layers=3, cap_layers=1, detect_from="joint",
             queries=10, classes=17, attrs=7, vocab=150, max_len=20)
stiny = dict(depth=10, width=8, dim=48, heads=4, ffn=96, layers=2, codes=32, vocab=120, max_len=24)
stiny2 = dict(depth=26, width=8, dim=32, heads=2, ffn=64, layers=3, codes=24, vocab=130, max_len=24)
CASES = {"ops": 11,
         "e2e_small": E(101, [(64, 96), (56, 80)], [7, 5], [6, 8], [3, 2], **tiny),
         "e2e_small2": E(102, [(96, 64), (70, 96)], [5, 9], [4, 7], [2, 0], 1.0, **tiny2),
         "e2e_real": E(103, [(224, 256), (200, 231)], [12, 9], [11, 14], [5, 3], real=True),
         "soho_small": S(104, [(256, 320), (192, 256)], [7, 6, 5, 8], **stiny),
         "soho_small2": S(105, [(320, 256)], [9], mix="quant", update="paper", **stiny2),
         "soho_real": S(106, [(320, 384)], [12, 10], real=True)}
