"""rlkit's LSTM encoder, with a constructor that passes everything on."""

from rlkit.torch.networks import RecurrentEncoder


class CustomContextEncoder(RecurrentEncoder):
    def __init__(self, *args, **kwargs):
        self.save_init_params(locals())
        super().__init__(*args, **kwargs)
